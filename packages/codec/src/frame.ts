import { TidemarkError } from '@tidemark/base'

/** Bytes before the Avro payload in Confluent's wire format: a zero byte and the schema id as a big-endian int32. */
export const FRAME_BYTES = 5

/** Schema id of a framed value; throws VALUE_UNDECODABLE when it is not framed. */
export function frameId(value: Uint8Array): number {
  if (value.length < FRAME_BYTES || value[0] !== 0) {
    throw new TidemarkError('VALUE_UNDECODABLE', 'the value does not begin with a Confluent schema id')
  }
  return (
    (value[1] as number) * 0x1000000 +
    (((value[2] as number) << 16) | ((value[3] as number) << 8) | (value[4] as number))
  )
}

/** The five bytes that go before a payload. */
export function frameHeader(id: number): Buffer {
  const header = Buffer.alloc(FRAME_BYTES)
  header.writeInt32BE(id, 1)
  return header
}
