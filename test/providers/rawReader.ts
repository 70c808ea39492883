import type { OpenCodec } from '@tidemark/codec'
import type { EventLog } from '@tidemark/log'
import { RAW_TOPIC, type Raw, type RawPosition } from '@tidemark/model'

/** Reads single records of ats.raw. */
export class RawReader {
  readonly #log: EventLog
  readonly #codec: OpenCodec

  constructor(log: EventLog, codec: OpenCodec) {
    this.#log = log
    this.#codec = codec
  }

  async read({ partition, offset }: RawPosition): Promise<Raw> {
    const { records } = await this.#log.fetch({ topic: RAW_TOPIC, partition, offset, recordsMax: 1 })
    const value = records[0]?.value
    if (value === undefined || value === null) throw new RangeError(`nothing at ${RAW_TOPIC}/${partition}:${offset}`)
    return this.#codec.decode('Raw', value)
  }
}
