package ats;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;

/** Confluent's wire format: a zero byte, the schema id as a big-endian int32, then Avro. For one thread. */
final class Decoder {
  private static final int HEADER_BYTES = 5;
  private static final Duration TIMEOUT = Duration.ofSeconds(10);

  private final String registryUrl;
  private final HttpClient http = HttpClient.newBuilder().connectTimeout(TIMEOUT).build();
  private final ObjectMapper json = new ObjectMapper();
  /** An id never changes its meaning. */
  private final Map<Integer, GenericDatumReader<GenericRecord>> readers = new HashMap<>();

  Decoder(String registryUrl) {
    this.registryUrl = registryUrl;
  }

  GenericRecord decode(byte[] value) {
    if (value.length < HEADER_BYTES || value[0] != 0) {
      throw new IllegalArgumentException("the value does not begin with a schema id");
    }
    var reader = readers.computeIfAbsent(ByteBuffer.wrap(value, 1, 4).getInt(), this::readerOf);
    var decoder = DecoderFactory.get().binaryDecoder(value, HEADER_BYTES, value.length - HEADER_BYTES, null);
    try {
      return reader.read(null, decoder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private GenericDatumReader<GenericRecord> readerOf(int id) {
    var request = HttpRequest.newBuilder(URI.create(registryUrl + "/schemas/ids/" + id)).timeout(TIMEOUT).build();
    try {
      var answer = http.send(request, HttpResponse.BodyHandlers.ofString());
      if (answer.statusCode() != 200) {
        throw new IOException("the registry answered " + answer.statusCode() + " for schema " + id);
      }
      var schema = json.readTree(answer.body()).get("schema").asText();
      return new GenericDatumReader<>(new Schema.Parser().parse(schema));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while reading schema " + id, e);
    }
  }
}
