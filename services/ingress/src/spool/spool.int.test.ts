import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { asideOf, fileMethods, put, SpoolScene, segmentsOf, take } from '../../test/spoolScene.ts'
import { HEADER_BYTES } from './frame.ts'

let scene: SpoolScene
beforeEach(() => {
  scene = new SpoolScene()
})
afterEach(async () => {
  vi.restoreAllMocks()
  await scene.close()
})

const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `webhook ${i}`)
const ERROR = 50

/** A closed spool of one segment with these records. */
async function written(texts: readonly string[]): Promise<string> {
  const directory = scene.folder()
  const spool = await scene.open(directory)
  for (const text of texts) await put(spool, text)
  await spool.close()
  return directory
}

describe('a spool', () => {
  it('gives back what was appended, in order, across restarts and in many files, and leaves nothing on disk', async () => {
    const command = fc.oneof(
      { weight: 3, arbitrary: fc.record({ append: fc.integer({ min: 1, max: 12 }) }) },
      { weight: 2, arbitrary: fc.record({ drain: fc.integer({ min: 1, max: 3 }) }) },
      { weight: 1, arbitrary: fc.constant({ restart: true }) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
        const directory = scene.folder()
        let spool = await scene.open(directory, { segmentBytes: 200 })
        const model: string[] = []
        let count = 0
        for (const step of commands) {
          if ('append' in step) {
            const texts = Array.from({ length: step.append }, () => `webhook ${count++}${'x'.repeat(count % 90)}`)
            await Promise.all(texts.map((text) => put(spool, text)))
            model.push(...texts)
          } else if ('drain' in step) {
            for (const text of await take(spool, step.drain)) expect(text).toBe(model.shift())
          } else {
            await spool.close()
            spool = await scene.open(directory, { segmentBytes: 200 })
          }
          expect(spool.status().records).toBe(model.length)
          expect(spool.isEmpty).toBe(model.length === 0)
        }
        expect(await take(spool)).toEqual(model)
        expect(segmentsOf(directory)).toEqual([])
        expect(spool.status()).toMatchObject({ records: 0, bytes: 0, oldestMs: null, setAside: 0 })
        await spool.close()
      }),
      { numRuns: 40 },
    )
  })

  it('takes no more than its bound, whole or not at all, and takes again once there is room', async () => {
    const directory = scene.folder()
    const bytesMax = 10 * (HEADER_BYTES + 100)
    const spool = await scene.open(directory, { bytesMax, segmentBytes: 200 })
    const texts = Array.from({ length: 30 }, (_, i) => `${i}`.padEnd(100, '.'))
    const outcomes = await Promise.allSettled(texts.map((text) => put(spool, text)))
    expect(outcomes.map(({ status }) => status)).toEqual(texts.map((_, i) => (i < 10 ? 'fulfilled' : 'rejected')))
    await expect(put(spool, 'one more')).rejects.toMatchObject({ code: 'SPOOL_FULL' })
    expect(spool.status()).toMatchObject({ records: 10, bytes: bytesMax, bytesMax })
    await spool.close()
    const again = await scene.open(directory, { bytesMax, segmentBytes: 200 })
    await expect(put(again, 'one more')).rejects.toMatchObject({ code: 'SPOOL_FULL' })
    expect(await take(again)).toEqual(texts.slice(0, 10))
    await put(again, 'one more')
    expect(await take(again)).toEqual(['one more'])
  })

  it('shares one fsync among those that come meanwhile, and acknowledges none before it', async () => {
    const spool = await scene.open(scene.folder())
    await put(spool, 'first')
    const methods = await fileMethods()
    const gate = Promise.withResolvers<void>()
    const sync = vi.spyOn(methods, 'datasync')
    const real = sync.getMockImplementation()
    expect(real).toBeUndefined()
    sync.mockImplementationOnce(() => gate.promise)
    let acknowledged = 0
    const all = numbered(150).map((text) => put(spool, text).then(() => acknowledged++))
    await vi.waitFor(() => expect(sync).toHaveBeenCalledTimes(1))
    expect(acknowledged).toBe(0)
    gate.resolve()
    await Promise.all(all)
    expect(acknowledged).toBe(150)
    expect(sync.mock.calls.length).toBeLessThanOrEqual(3)
    expect(await take(spool)).toEqual(['first', ...numbered(150)])
  })

  it('belongs to one process', async () => {
    const directory = scene.folder()
    const spool = await scene.open(directory)
    await expect(scene.open(directory)).rejects.toMatchObject({ code: 'DATA_DIRECTORY_LOCKED' })
    await spool.close()
    await expect(put(spool, 'late')).rejects.toMatchObject({ code: 'LOG_CLOSED' })
    await scene.open(directory)
  })
})

describe('a write that fails', () => {
  const failure = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })

  it.each(['write', 'datasync', 'truncate'] as const)('leaves nothing of the record behind (%s)', async (method) => {
    const directory = scene.folder()
    const spool = await scene.open(directory)
    await put(spool, 'before')
    const methods = await fileMethods()
    if (method === 'truncate') {
      vi.spyOn(methods, 'truncate').mockRejectedValueOnce(failure)
      vi.spyOn(methods, 'datasync').mockRejectedValueOnce(failure)
    } else if (method === 'datasync') vi.spyOn(methods, 'datasync').mockRejectedValueOnce(failure)
    else
      vi.spyOn(methods, 'write').mockImplementationOnce(async () => {
        await appendFile(segmentsOf(directory)[0] as string, 'half a recor')
        throw failure
      })
    await expect(put(spool, 'failed')).rejects.toMatchObject({ code: 'DISK_FULL' })
    expect(spool.status().records).toBe(1)
    await put(spool, 'after')
    const crashed = await scene.open(scene.folder(directory))
    expect(await take(crashed)).toEqual(['before', 'after'])
    expect(crashed.status().setAside).toBe(0)
    expect(await take(spool)).toEqual(['before', 'after'])
  })

  it('again and again, as on a full disk, fills the folder with nothing', async () => {
    const directory = scene.folder()
    const spool = await scene.open(directory)
    await put(spool, 'before')
    const methods = await fileMethods()
    for (const method of ['write', 'datasync'] as const) {
      vi.spyOn(methods, method).mockRejectedValue(failure)
      for (let i = 0; i < 20; i++) await expect(put(spool, 'failed')).rejects.toMatchObject({ code: 'DISK_FULL' })
      vi.restoreAllMocks()
    }
    expect(segmentsOf(directory).length).toBeLessThanOrEqual(2)
    await put(spool, 'after')
    expect(await take(spool)).toEqual(['before', 'after'])
    expect(segmentsOf(directory)).toEqual([])
  })
})

describe('a crash', () => {
  it('while a record is written cuts off that record alone, wherever it was cut', async () => {
    for (const last of ['', 'x', 'the last one'.repeat(5)]) {
      const directory = await written(['one', 'two', last])
      const whole = readFileSync(segmentsOf(directory)[0] as string)
      const lastBytes = HEADER_BYTES + Buffer.byteLength(last)
      for (let cut = 0; cut < lastBytes; cut++) {
        const copy = scene.folder(directory)
        truncateSync(segmentsOf(copy)[0] as string, whole.length - lastBytes + cut)
        const spool = await scene.open(copy)
        await put(spool, 'three')
        expect(await take(spool)).toEqual(['one', 'two', 'three'])
        expect(spool.status().setAside).toBe(0)
        await spool.close()
      }
    }
    expect(scene.messages(ERROR)).toEqual([])
  })

  it('that left space without bytes cuts it off', async () => {
    const directory = await written(['one', 'two'])
    await appendFile(segmentsOf(directory)[0] as string, Buffer.alloc(5000))
    expect(await take(await scene.open(directory))).toEqual(['one', 'two'])
    expect(scene.messages(ERROR)).toEqual([])
  })

  it('between the append to the log and the position repeats, behind the position does not, and nothing is lost', async () => {
    const directory = scene.folder()
    const spool = await scene.open(directory, { segmentBytes: 60 })
    for (const text of numbered(9)) await put(spool, text)
    for (let drained = 0; drained < 9; ) {
      const batch = await spool.read()
      const beforeCommit = scene.folder(directory)
      expect(await take(await scene.open(beforeCommit))).toEqual(numbered(9).slice(drained))
      const files = segmentsOf(directory).map((path) => ({ path, bytes: readFileSync(path) }))
      await spool.commit(batch as NonNullable<typeof batch>)
      drained += batch?.records.length ?? 0
      // The position is durable, the files are still there.
      const afterPosition = scene.folder(directory)
      for (const { path, bytes } of files) writeFileSync(path.replace(directory, afterPosition), bytes)
      const again = await scene.open(afterPosition)
      expect(again.status().records).toBe(9 - drained)
      await put(again, 'new')
      expect(await take(again)).toEqual([...numbered(9).slice(drained), 'new'])
      expect(segmentsOf(afterPosition)).toEqual([])
    }
  })

  it('or a bad sector in the position repeats and loses nothing', async () => {
    const directory = scene.folder()
    const spool = await scene.open(directory, { segmentBytes: 1 })
    for (const text of numbered(6)) await put(spool, text)
    await take(spool, 2)
    await put(spool, 'last')
    await spool.close()
    const bytes = readFileSync(join(directory, 'position'))
    const outcomes = [[0], [4096], [0, 4096]].map(async (slots) => {
      const copy = scene.folder(directory)
      const damaged = Buffer.from(bytes)
      for (const at of slots) damaged[at + 9] = (damaged[at + 9] ?? 0) ^ 0xff
      writeFileSync(join(copy, 'position'), damaged)
      return await take(await scene.open(copy))
    })
    for (const outcome of await Promise.all(outcomes)) expect(outcome).toEqual([...numbered(6).slice(2), 'last'])
  })
})

describe('bytes that changed on disk', () => {
  it('are set aside and told, wherever they are, and no other record is lost', async () => {
    const texts = ['one', 'two, which is longer', 'three']
    const directory = await written(texts)
    const whole = readFileSync(segmentsOf(directory)[0] as string)
    let end = 0
    const ends = texts.map((text) => (end += HEADER_BYTES + text.length))
    for (let at = 0; at < whole.length; at++) {
      const copy = scene.folder(directory)
      const damaged = Buffer.from(whole)
      damaged[at] = (damaged[at] ?? 0) ^ 0x15
      writeFileSync(segmentsOf(copy)[0] as string, damaged)
      const hit = ends.findIndex((end) => at < end)
      const spool = await scene.open(copy)
      scene.said.length = 0
      expect(spool.status().setAside, `byte ${at}`).toBeLessThanOrEqual(1)
      expect(await take(spool)).toEqual(texts.filter((_, i) => i !== hit))
      await spool.close()
      const [kept] = asideOf(copy).map((path) => readFileSync(path))
      expect(kept?.equals(damaged.subarray(ends[hit - 1] ?? 0, ends[hit]))).toBe(true)
    }
  })

  it('are told with where they are kept, also when they change while the spool is open', async () => {
    const directory = scene.folder()
    const spool = await scene.open(directory)
    for (const text of ['one', 'two', 'three']) await put(spool, text)
    const path = segmentsOf(directory)[0] as string
    const bytes = readFileSync(path)
    bytes.write('TWO', bytes.indexOf('two'))
    writeFileSync(path, bytes)
    expect(await take(spool)).toEqual(['one', 'three'])
    expect(spool.isEmpty).toBe(true)
    expect(scene.said.at(-1)).toMatchObject({ level: ERROR, err: { code: 'DATA_DIRECTORY_CORRUPT' } })
    await vi.waitFor(() => expect(spool.status().setAside).toBe(1))
    expect(readFileSync(asideOf(directory)[0] as string).includes('TWO')).toBe(true)
  })

  it('or a file that somebody removed keep nothing else from being drained', async () => {
    const spool = await scene.open(scene.folder(), { segmentBytes: 60 })
    for (const text of numbered(6)) await put(spool, text)
    rmSync(segmentsOf(scene.folders[0] as string)[1] as string)
    expect(await take(spool)).toEqual([...numbered(6).slice(0, 2), ...numbered(6).slice(4)])
    expect(scene.said.at(-1)).toMatchObject({ level: ERROR, err: { code: 'DATA_DIRECTORY_CORRUPT' } })
  })

  it('or an end that is missing in a file that was complete, are no torn tail', async () => {
    const directory = scene.folder()
    const spool = await scene.open(directory, { segmentBytes: 70 })
    for (const text of numbered(6)) await put(spool, text)
    await spool.close()
    const [first] = segmentsOf(directory) as [string]
    truncateSync(first, readFileSync(first).length - 3)
    const again = await scene.open(directory)
    const found = await take(again)
    expect(found).toEqual(numbered(6).filter((text) => found.includes(text)))
    expect(found).toHaveLength(5)
    expect(scene.said.at(-1)).toMatchObject({ level: ERROR, err: { code: 'DATA_DIRECTORY_CORRUPT' } })
    expect(asideOf(directory)).toHaveLength(1)
  })
})
