import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import type { AppendRecord, EventLog, LogRecord } from '@tidemark/log'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { type Embedded, type EmbeddedOptions, openEmbedded } from './embedded.ts'

const directories: string[] = []
const opened: Embedded[] = []
afterEach(async () => {
  for (const data of opened.splice(0)) await data.close()
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true })
})

async function open(options: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const path = mkdtempSync(join(tmpdir(), 'log-maintenance-'))
  directories.push(path)
  const data = await openEmbedded({ path, clock: systemClock, ...options })
  opened.push(data)
  await data.log.ensureTopics([
    { name: 'compact', partitions: 1, cleanup: 'compact', retentionMs: null },
    { name: 'delete', partitions: 1, cleanup: 'delete', retentionMs: 1000 },
  ])
  return data
}

async function readAll(log: EventLog, topic: string): Promise<LogRecord[]> {
  const { start, end } = await log.bounds(topic, 0)
  const out: LogRecord[] = []
  for (let at = start; at < end; ) {
    const { records, nextOffset } = await log.fetch({ topic, partition: 0, offset: at })
    out.push(...records)
    at = nextOffset
  }
  return out
}

const record = (key: string | null, value: Buffer | string | null, topic = 'compact'): AppendRecord => ({
  topic,
  partition: 0,
  key: key === null ? null : Buffer.from(key),
  value: typeof value === 'string' ? Buffer.from(value) : value,
  timestampMs: 1,
})
const show = ({ offset, key, value }: { offset: number; key: Uint8Array | null; value: Uint8Array | null }): string =>
  `${offset} ${key && Buffer.from(key)} ${value && `${value.length} ${Buffer.from(value).subarray(0, 20)}`}`

const written = fc.record({
  key: fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { freq: 12 }),
  size: fc.option(fc.oneof({ weight: 6, arbitrary: fc.nat(50) }, { weight: 1, arbitrary: fc.constant(70_000) }), {
    freq: 5,
  }),
})
const step = fc.oneof(
  { weight: 4, arbitrary: fc.array(written, { minLength: 1, maxLength: 6 }) },
  { weight: 1, arbitrary: fc.nat(300) },
)

describe('compaction', () => {
  it('keeps exactly the last record of each key, tombstones for their time, and what has no key', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.integer({ min: 1, max: 4 }), async (steps, keysMax) => {
        const data = await open({ minDirtyRatio: 0, compactionKeysMax: keysMax, deleteRetentionMs: 500 })
        const all: (AppendRecord & { readonly offset: number })[] = []
        let nowMs = 0
        for (const one of steps) {
          if (typeof one === 'number') {
            nowMs += one
            await data.maintain(nowMs)
            continue
          }
          const records = one.map(({ key, size }, i) =>
            record(key, size === null ? null : Buffer.alloc(size, `${all.length + i}/`)),
          )
          const offsets = await data.log.append(records)
          all.push(...records.map((sent, i) => ({ ...sent, offset: offsets[i]! })))
        }
        await data.maintain(nowMs)
        const last = new Map(all.map(({ key, offset }) => [key?.toString(), offset]))
        const newest = all.filter(({ key, offset }) => key === null || last.get(key.toString()) === offset)
        const found = (await readAll(data.log, 'compact')).map(show)
        // Tombstones may be there or gone; everything else is exactly determined.
        const tombstones = new Set(newest.filter(({ key, value }) => key !== null && value === null).map(show))
        expect(found.filter((text) => !tombstones.has(text))).toEqual(
          newest.filter((one) => !tombstones.has(show(one))).map(show),
        )
        expect(await data.log.bounds('compact', 0)).toEqual({ start: 0, end: all.length })
        await data.maintain(nowMs + 500)
        await data.maintain(nowMs + 1000)
        const later = (await readAll(data.log, 'compact')).map(show)
        expect(later).toEqual(newest.map(show).filter((text) => !tombstones.has(text)))
        for (let from = 0; from < all.length; from++) {
          const { records, nextOffset } = await data.log.fetch({
            topic: 'compact',
            partition: 0,
            offset: from,
            recordsMax: 1,
          })
          const rest = later.filter((text) => Number(text.split(' ')[0]) >= from)
          expect(records.map(show)).toEqual(rest.slice(0, 1))
          // Holes behind the record may be skipped at once or by the next fetch.
          const following = rest[1] === undefined ? all.length : Number(rest[1].split(' ')[0])
          expect(nextOffset).toBeGreaterThan(records[0]?.offset ?? all.length - 1)
          expect(nextOffset).toBeLessThanOrEqual(following)
        }
      }),
      { numRuns: 40 },
    )
  }, 120_000)

  it('waits until enough is new', async () => {
    const data = await open({ minDirtyRatio: 0.5 })
    const fill = async (count: number) => {
      for (let i = 0; i < count; i++) await data.log.append([record(`k${i}`, 'x'.repeat(100))])
    }
    await fill(100)
    expect((await data.maintain(0)).compacted).toEqual([])
    await fill(50)
    expect((await data.maintain(0)).compacted).toEqual([])
    await fill(60)
    expect((await data.maintain(0)).compacted).toMatchObject([{ topic: 'compact', partition: 0, records: 110 }])
  })

  it('lets appends and reads go on meanwhile, and loses none of them', async () => {
    const data = await open({ minDirtyRatio: 0 })
    const value = 'x'.repeat(2000)
    for (let i = 0; i < 40; i++)
      await data.log.append(Array.from({ length: 100 }, (_, j) => record(`k${j}`, `${i}${value}`)))
    let done = false
    const maintaining = data.maintain(0).finally(() => {
      done = true
    })
    let appended = 0
    while (!done) {
      await data.log.append([record(`new${appended}`, value), record('k1', `again${appended}`)])
      appended++
      await data.log.fetch({ topic: 'compact', partition: 0, offset: (appended * 37) % 4000, recordsMax: 10 })
    }
    expect((await maintaining).compacted).toMatchObject([{ records: 3900 }])
    expect(appended).toBeGreaterThan(1)
    const found = (await readAll(data.log, 'compact')).map(({ key }) => key?.toString())
    for (let i = 0; i < appended; i++) expect(found).toContain(`new${i}`)
  })

  it('ends when the log is closed, and is done by the next run', async () => {
    const data = await open({ minDirtyRatio: 0 })
    for (let i = 0; i < 20; i++)
      await data.log.append(Array.from({ length: 100 }, (_, j) => record(`k${j}`, 'x'.repeat(2000))))
    const maintaining = expect(data.maintain(0)).rejects.toMatchObject({ code: 'LOG_CLOSED' })
    await data.close()
    await maintaining
    await expect(data.maintain(0)).rejects.toMatchObject({ code: 'LOG_CLOSED' })
    const again = await openEmbedded({ path: directories.at(-1)!, clock: systemClock, minDirtyRatio: 0 })
    opened.push(again)
    await again.maintain(0)
    expect(await readAll(again.log, 'compact')).toHaveLength(100)
  })

  it('that is asked for twice runs once', async () => {
    const data = await open({ minDirtyRatio: 0 })
    await data.log.append([record('a', '1'), record('a', '2')])
    const [first, second] = await Promise.all([data.maintain(0), data.maintain(0)])
    expect(first).toBe(second)
  })
})

describe('retention', () => {
  it('removes many small batches in several slices, and reports what went', async () => {
    const data = await open()
    for (let i = 0; i < 700; i++) await data.log.append([record(null, `v${i}`, 'delete')])
    await data.log.append([{ ...record(null, 'young', 'delete'), timestampMs: 5000 }])
    const report = await data.maintain(5500)
    expect(report.expired).toMatchObject([{ topic: 'delete', partition: 0, records: 700 }])
    expect(await data.log.bounds('delete', 0)).toEqual({ start: 700, end: 701 })
    expect((await data.maintain(5500)).expired).toEqual([])
  })
})

describe('a record larger than a batch', () => {
  it('is stored and read alone, beside small ones', async () => {
    const data = await open()
    const huge = Buffer.alloc(20 * 1024 * 1024, 'huge ')
    await data.log.append([record('a', 'small'), record('b', huge), record('c', 'small')])
    const found = await readAll(data.log, 'compact')
    expect(found.map(({ value }) => value?.length)).toEqual([5, huge.length, 5])
    expect(found[1]!.value!.equals(huge)).toBe(true)
  })
})
