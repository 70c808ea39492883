import { type Aborted, readInt64 } from './recordBatch.ts'

/** One partition of a Fetch answer, undecoded. */
export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** Readers of committed records see up to here. */
  readonly lastStableOffset: number
  readonly aborted: readonly Aborted[]
  /** Record batches, the last one perhaps cut. A view of the answer. */
  readonly records: Buffer
}

/** Reads the answer to a Fetch of version 10. Returns the answer's own error code, and each partition. */
export function readFetchAnswer(raw: Buffer): { readonly errorCode: number; readonly partitions: FetchedPartition[] } {
  const errorCode = raw.readInt16BE(4)
  const partitions: FetchedPartition[] = []
  let at = 10
  const int32 = (): number => {
    at += 4
    return raw.readInt32BE(at - 4)
  }
  for (let topics = int32(); topics > 0; topics--) {
    const nameLength = raw.readInt16BE(at)
    const topic = raw.toString('utf8', at + 2, at + 2 + nameLength)
    at += 2 + nameLength
    for (let count = int32(); count > 0; count--) {
      const start = at
      at += 30
      const aborted: Aborted[] = []
      for (let n = int32(); n > 0; n--) {
        aborted.push({ producerId: readInt64(raw, at), firstOffset: readInt64(raw, at + 8) })
        at += 16
      }
      const size = Math.max(0, int32())
      partitions.push({
        topic,
        partition: raw.readInt32BE(start),
        errorCode: raw.readInt16BE(start + 4),
        lastStableOffset: readInt64(raw, start + 14),
        aborted,
        records: raw.subarray(at, at + size),
      })
      at += size
    }
  }
  return { errorCode, partitions }
}
