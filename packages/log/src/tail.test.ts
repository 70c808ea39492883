import { setImmediate as nextTurn } from 'node:timers/promises'
import { TidemarkError } from '@tidemark/base'
import { describe, expect, test } from 'vitest'
import type { EventLog, FetchRequest, FetchResult } from './log.ts'
import { openTail } from './tail.ts'

/** Partitions that hold only offsets; every third one is a hole, as control records leave them in Kafka. */
function fakeLog() {
  const ends = new Map<number, number>([
    [0, 0],
    [1, 0],
  ])
  const waiting = new Set<() => void>()
  let failure: Error | undefined
  const read = ({ partition, offset, recordsMax = 10 }: FetchRequest): FetchResult => {
    if (failure) throw failure
    const endOffset = ends.get(partition) ?? 0
    const nextOffset = Math.min(endOffset, offset + recordsMax)
    const records = []
    for (let at = offset; at < nextOffset; at++) {
      if (at % 3 !== 2) records.push({ offset: at, timestampMs: 0, key: null, value: null })
    }
    return { records, nextOffset, endOffset }
  }
  const fetch = async (request: FetchRequest): Promise<FetchResult> => {
    const now = read(request)
    if (now.nextOffset > request.offset || !request.waitMs) return now
    await new Promise<void>((resolve) => {
      const done = (): void => {
        waiting.delete(done)
        resolve()
      }
      waiting.add(done)
      request.signal?.addEventListener('abort', done, { once: true })
    })
    return read(request)
  }
  const wake = (): void => {
    for (const done of waiting) done()
  }
  return {
    log: { fetch } as EventLog,
    waiting,
    grow: (partition: number, end: number): void => {
      ends.set(partition, end)
      wake()
    },
    fail: (error: Error): void => {
      failure = error
      wake()
    },
  }
}

const starts = [0, 1].map((partition) => ({ topic: 't', partition, offset: 0 }))

describe('a tail', () => {
  test('says that offsets without records were passed, once', async () => {
    const { log, grow, waiting } = fakeLog()
    const tail = openTail(log, [{ topic: 't', partition: 0, offset: 2 }])
    grow(0, 3)
    expect(await tail.ready()).toBe(true)
    expect(tail.readers.map(({ head, position }) => [head, position])).toEqual([[undefined, 3]])
    let again = false
    const next = tail.ready().then(() => {
      again = true
    })
    while (waiting.size === 0) await nextTurn()
    await nextTurn()
    expect(again).toBe(false)
    grow(0, 4)
    await next
    expect(tail.readers[0]?.head?.offset).toBe(3)
    await tail.close()
  })

  test('gives every record of every partition once, over holes, a few at a time', async () => {
    const { log, grow } = fakeLog()
    const tail = openTail(log, starts, { recordsMax: 4 })
    grow(0, 20)
    grow(1, 7)
    const seen: string[] = []
    while (seen.length < 19 && (await tail.ready())) {
      for (const reader of tail.readers) {
        while (reader.head) {
          seen.push(`${reader.partition}/${reader.shift().offset}`)
          expect(reader.position).toBeLessThanOrEqual(reader.end)
        }
      }
    }
    const expected = [20, 7].flatMap((end, p) =>
      Array.from({ length: end }, (_, at) => at)
        .filter((at) => at % 3 !== 2)
        .map((at) => `${p}/${at}`),
    )
    expect(seen.sort()).toEqual(expected.sort())
    await tail.close()
  })

  test('waits with one fetch per partition, and wakes at the first record', async () => {
    const { log, grow, waiting } = fakeLog()
    const tail = openTail(log, starts)
    const ready = tail.ready()
    await nextTurn()
    expect(waiting.size).toBe(2)
    grow(1, 1)
    expect(await ready).toBe(true)
    expect(tail.readers.map((reader) => reader.head?.offset)).toEqual([undefined, 0])
    expect(await tail.ready()).toBe(true)
    expect(waiting.size).toBe(1)
    await tail.close()
  })

  test('says where to resume: at the record not yet taken', async () => {
    const { log, grow } = fakeLog()
    grow(0, 2)
    const tail = openTail(log, starts)
    await Promise.all(tail.readers.map((reader) => reader.refill()))
    const [reader] = tail.readers
    expect([reader?.position, reader?.end]).toEqual([0, 2])
    reader?.shift()
    expect(reader?.position).toBe(1)
    reader?.shift()
    expect(reader?.position).toBe(2)
    expect(() => reader?.shift()).toThrow(RangeError)
    await tail.close()
  })

  test('ends its waits when it is closed, or when the caller gives up', async () => {
    const { log, waiting } = fakeLog()
    const tail = openTail(log, starts)
    const given = new AbortController()
    const first = tail.ready(given.signal)
    given.abort()
    expect(await first).toBe(false)
    const second = tail.ready()
    await tail.close()
    expect(await second).toBe(false)
    expect(waiting.size).toBe(0)
  })

  test('throws what a fetch threw', async () => {
    const { log, fail } = fakeLog()
    const tail = openTail(log, starts)
    const ready = tail.ready()
    await nextTurn()
    fail(new TidemarkError('OFFSET_OUT_OF_RANGE', 'gone'))
    await expect(ready).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    await tail.close()
  })
})
