package ats;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Prints every change of the models given as arguments, once, as a line of JSON. Settings: KAFKA_BROKERS, REGISTRY_URL, GROUP_ID. */
public final class Changes {
  private static final int IDS_MAX = 100_000;

  private final ObjectMapper json = new ObjectMapper();
  private volatile boolean stopping;
  private final Decoder decoder = new Decoder(setting("REGISTRY_URL", "http://127.0.0.1:8081"));

  /**
   * Delivery is at least once, so what was applied before is left out. Here the newest versions are in memory; a service keeps `version`
   * beside its row, or `event_id` under a unique constraint, in the transaction that does the work.
   */
  private final Map<String, Long> versions = new LinkedHashMap<>() {
    @Override
    protected boolean removeEldestEntry(Map.Entry<String, Long> eldest) {
      return size() > IDS_MAX;
    }
  };

  public static void main(String[] args) throws Exception {
    var models = args.length > 0 ? Stream.of(args) : Stream.of("candidates");
    new Changes().run(models.map(model -> "ats." + model + ".changes").toList());
  }

  private void run(List<String> topics) throws Exception {
    var ended = new CountDownLatch(1);
    try (var consumer = new KafkaConsumer<String, byte[]>(settings())) {
      Runtime.getRuntime().addShutdownHook(new Thread(() -> {
        stopping = true;
        // The process ends with this hook: wait until what was polled is done and the consumer has left its group.
        await(ended);
      }));
      consumer.subscribe(topics, fromBeginningIfNew(consumer));
      while (!stopping) {
        for (var record : consumer.poll(Duration.ofSeconds(1))) {
          handle(record);
        }
        // After the work, never before.
        consumer.commitSync();
      }
    } finally {
      ended.countDown();
    }
  }

  private void handle(ConsumerRecord<String, byte[]> record) throws Exception {
    if (record.value() == null) return;
    GenericRecord change = decoder.decode(record.value());
    var id = change.get("id").toString();
    var version = (Long) change.get("version");
    if (version <= versions.getOrDefault(id, 0L)) return;
    versions.remove(id);
    versions.put(id, version);
    System.out.printf(
        "{\"topic\":\"%s\",\"partition\":%d,\"offset\":%d,\"key\":%s,\"change\":%s}%n",
        record.topic(), record.partition(), record.offset(), json.writeValueAsString(record.key()), change);
  }

  private static Properties settings() {
    var settings = new Properties();
    settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, setting("KAFKA_BROKERS", "127.0.0.1:9092"));
    settings.put(ConsumerConfig.GROUP_ID_CONFIG, setting("GROUP_ID", "ats-print-java"));
    settings.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class);
    settings.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
    // Java's default shows records of transactions that are aborted later.
    settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
    // A position that the log no longer has is an exception, never a silent jump.
    settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
    return settings;
  }

  /** With auto.offset.reset=none a group without a position has to be told where to begin. */
  private static ConsumerRebalanceListener fromBeginningIfNew(KafkaConsumer<?, ?> consumer) {
    return new ConsumerRebalanceListener() {
      @Override
      public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        var committed = consumer.committed(new HashSet<>(partitions));
        var fresh = partitions.stream().filter(partition -> committed.get(partition) == null).toList();
        // An empty list would mean all of them.
        if (!fresh.isEmpty()) consumer.seekToBeginning(fresh);
      }

      @Override
      public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}
    };
  }

  private static String setting(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
