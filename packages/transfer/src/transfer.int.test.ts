import { afterEach, describe, expect, it } from 'vitest'
import { KIND } from './format.ts'
import { FrameWriter, readFrames } from './frames.ts'
import { importLog } from './import.ts'
import { chunked, contentOf, Directories, embeddedTarget, exported, NEVER, record, seed } from './testing/scene.ts'

const TOPICS = ['changes', 'emptied', 'shortened', 'snapshots']
const directories = new Directories()
afterEach(() => directories.dispose())

async function seeded() {
  const source = await directories.open()
  await seed(source)
  return { source, stream: await exported(source) }
}

const into = (target: Parameters<typeof embeddedTarget>[0], stream: Buffer, chunk?: number) =>
  importLog(chunked(stream, chunk), embeddedTarget(target), { signal: NEVER })

describe('an export', () => {
  it('makes another log equal: bytes, offsets, times, schemas with their ids, positions', async () => {
    const { source, stream } = await seeded()
    const target = await directories.open()
    const seen: number[] = []
    const report = await importLog(chunked(stream, 1000), embeddedTarget(target), {
      signal: NEVER,
      onProgress: ({ done, total }) => void seen.push(done / total),
    })
    expect(await contentOf(target.log, TOPICS)).toEqual(await contentOf(source.log, TOPICS))
    for (const subject of ['a-value', 'b-value', 'c-value']) {
      expect(await target.registry.versions(subject)).toEqual(await source.registry.versions(subject))
    }
    expect(await target.log.positions('processor', 'changes')).toEqual(
      new Map([
        [0, 123],
        [2, 500],
      ]),
    )
    expect(await target.log.positions('processor', 'emptied')).toEqual(new Map([[0, 500]]))
    expect(await target.log.positions('reader', 'shortened')).toEqual(new Map([[0, 510]]))
    expect(seen.at(-1)).toBe(1)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    expect(report).toMatchObject({ topics: 4, partitions: 7, schemas: 5, groups: 2, differences: [] })
    expect(report.appended).toBe(report.records)
  })

  it('closes the holes of compacted topics, and moves positions there to the same record', async () => {
    const { source, stream } = await seeded()
    const target = await directories.open()
    await into(target, stream)
    const next = async (log: typeof source.log) => {
      const position = (await log.positions('reader', 'snapshots')).get(0) ?? -1
      const { records } = await log.fetch({ topic: 'snapshots', partition: 0, offset: position })
      return { position, key: String(records[0]?.key), value: String(records[0]?.value) }
    }
    const before = await next(source.log)
    const after = await next(target.log)
    expect({ ...after, position: 0 }).toEqual({ ...before, position: 0 })
    expect(after.position).toBeLessThan(before.position)
    const { start, end } = await target.log.bounds('snapshots', 0)
    expect((await target.log.fetch({ topic: 'snapshots', partition: 0, offset: 0 })).records).toHaveLength(end - start)
  })

  it('imported again writes nothing, and compares every record', async () => {
    const { source, stream } = await seeded()
    const target = await directories.open()
    await into(target, stream)
    expect(await into(target, stream)).toMatchObject({ appended: 0 })
    expect(await contentOf(target.log, TOPICS)).toEqual(await contentOf(source.log, TOPICS))
  })

  it('is taken up where it was cut off, wherever that was, and called complete only at its end', async () => {
    const { source, stream } = await seeded()
    const target = await directories.open()
    for (let share = 0; share < 1; share += 0.09) {
      const cut = stream.subarray(0, Math.floor(stream.length * share))
      await expect(into(target, cut)).rejects.toMatchObject({ code: 'EXPORT_INVALID' })
    }
    await expect(into(target, stream.subarray(0, -1))).rejects.toMatchObject({ code: 'EXPORT_INVALID' })
    await into(target, stream)
    expect(await contentOf(target.log, TOPICS)).toEqual(await contentOf(source.log, TOPICS))
  })

  it('is refused when a byte is another, or a part is missing, repeated or too much', async () => {
    const { stream } = await seeded()
    const outcome = async (bytes: Buffer) =>
      into(await directories.open(), bytes).then(
        () => 'complete',
        (error: { code: string }) => error.code,
      )
    for (let i = 0; i < 12; i++) {
      const at = Math.floor((stream.length * i) / 12)
      const damaged = Buffer.from(stream)
      damaged.writeUInt8(damaged.readUInt8(at) ^ 0x40, at)
      expect(await outcome(damaged), `byte ${at}`).toBe('EXPORT_INVALID')
    }
    const ends = await frameEnds(stream)
    const [third, fourth, fifth] = ends.slice(2, 5) as [number, number, number]
    const parts = [stream.subarray(0, third), stream.subarray(third, fourth), stream.subarray(fourth, fifth)] as const
    const rest = stream.subarray(fifth)
    expect(await outcome(Buffer.concat([parts[0], parts[2], rest]))).toBe('EXPORT_INVALID')
    expect(await outcome(Buffer.concat([parts[0], parts[1], parts[1], parts[2], rest]))).toBe('EXPORT_INVALID')
    expect(await outcome(Buffer.concat([parts[0], parts[2], parts[1], rest]))).toBe('EXPORT_INVALID')
    expect(await outcome(Buffer.concat([stream, stream]))).toBe('EXPORT_INVALID')
    expect(await outcome(Buffer.alloc(0))).toBe('EXPORT_INVALID')
    expect(await outcome(stream)).toBe('complete')
  })

  it('of a later format is refused by its version', async () => {
    const header = new FrameWriter().json(KIND.header, { version: 2, createdAtMs: 0, topics: [] })
    const later = Buffer.concat([Buffer.from('TIDEMARK'), header])
    await expect(into(await directories.open(), later)).rejects.toThrow('format version 2')
  })
})

describe('an import is refused, with nothing written,', () => {
  const untouched = async (target: Awaited<ReturnType<typeof directories.open>>, stream: Buffer, code: string) => {
    const before = await contentOf(
      target.log,
      TOPICS.filter((topic) => topic !== 'emptied'),
    )
    await expect(into(target, stream)).rejects.toMatchObject({ code })
    const after = (await contentOf(
      target.log,
      TOPICS.filter((topic) => topic !== 'emptied'),
    )) as { records: string[] }[]
    const count = (all: unknown) =>
      (all as { records: string[] }[]).reduce((sum, { records }) => sum + records.length, 0)
    expect(count(after)).toBe(count(before))
    expect(await target.log.positions('processor', 'changes')).toEqual(new Map())
  }
  const spec = { name: 'changes', partitions: 3, cleanup: 'delete', retentionMs: null } as const

  it('when a topic has another number of partitions', async () => {
    const { stream } = await seeded()
    const target = await directories.open()
    await target.log.ensureTopics([{ ...spec, partitions: 4 }])
    await untouched(target, stream, 'TOPIC_MISMATCH')
  })

  it('when a topic is compacted that is not in the export', async () => {
    const { stream } = await seeded()
    const target = await directories.open()
    await target.log.ensureTopics([{ ...spec, cleanup: 'compact' }])
    await untouched(target, stream, 'TOPIC_MISMATCH')
  })

  it('when a topic has other records, more records, or records where earlier ones are missing', async () => {
    const { source, stream } = await seeded()
    const other = await directories.open()
    await other.log.ensureTopics([spec])
    await other.log.append([record('changes', 0, 'x', 'not of the export')])
    await untouched(other, stream, 'TOPIC_MISMATCH')
    const more = await directories.open()
    await more.log.ensureTopics([spec])
    await more.log.append(Array.from({ length: 501 }, () => record('changes', 2, 'x', 'y')))
    await untouched(more, stream, 'TOPIC_MISMATCH')
    const later = await directories.open()
    await later.log.ensureTopics([spec])
    const { records } = await source.log.fetch({ topic: 'changes', partition: 2, offset: 0, recordsMax: 5 })
    await later.log.append(records.map((one) => ({ ...one, topic: 'changes', partition: 2 })))
    await untouched(later, stream, 'TOPIC_MISMATCH')
  })

  it('when a record in the middle of what is there differs in one byte or in its time', async () => {
    const { source, stream } = await seeded()
    const { records } = await source.log.fetch({ topic: 'changes', partition: 0, offset: 0 })
    for (const change of [{ value: Buffer.from('another') }, { timestampMs: 5 }]) {
      const target = await directories.open()
      await target.log.ensureTopics([spec])
      await target.log.append(
        records.map((one, i) => ({ ...one, ...(i === 250 ? change : {}), topic: 'changes', partition: 0 })),
      )
      await expect(into(target, stream)).rejects.toThrow('offset 250 differs')
    }
  })

  it('when a group is further than in the export', async () => {
    const { stream } = await seeded()
    const target = await directories.open()
    await into(target, stream)
    await target.log.commitPositions('processor', 'changes', new Map([[0, 124]]))
    await expect(into(target, stream)).rejects.toThrow('the group processor stands at 124')
  })

  it('when the registry has another schema under an id, or gives another', async () => {
    const { stream } = await seeded()
    const taken = await directories.open()
    await taken.registry.register('foreign', '"bytes"')
    await expect(into(taken, stream)).rejects.toMatchObject({ code: 'SCHEMA_ID_MISMATCH' })
    expect(await taken.registry.subjects()).toEqual(['foreign'])
    expect(await taken.log.listTopics()).toEqual([])
    const moved = await directories.open()
    const schemas = { ...embeddedTarget(moved), registerAs: async () => 99 }
    await expect(importLog(chunked(stream), schemas, { signal: NEVER })).rejects.toMatchObject({
      code: 'SCHEMA_ID_MISMATCH',
      message: expect.stringContaining('got the id 99'),
    })
    expect(await moved.log.listTopics()).toEqual([])
  })
})

it('an import that is stopped says so and can be run again', async () => {
  const { source, stream } = await seeded()
  const target = await directories.open()
  const stopping = new AbortController()
  const onProgress = ({ done, total }: { done: number; total: number }) => done > total / 2 && stopping.abort()
  await expect(
    importLog(chunked(stream), embeddedTarget(target), { signal: stopping.signal, onProgress }),
  ).rejects.toThrow('Run it again')
  await into(target, stream)
  expect(await contentOf(target.log, TOPICS)).toEqual(await contentOf(source.log, TOPICS))
})

async function frameEnds(stream: Buffer): Promise<number[]> {
  const ends: number[] = []
  for await (const { payload } of readFrames(chunked(stream))) ends.push((ends.at(-1) ?? 8) + 13 + payload.length)
  return ends
}
