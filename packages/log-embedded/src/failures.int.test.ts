import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import { open as openLmdb } from 'lmdb'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Embedded, type EmbeddedOptions, openEmbedded } from './embedded.ts'

let path: string
let opened: Embedded[]
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'log-failures-'))
  opened = []
})
afterEach(async () => {
  for (const data of opened) await data.close()
  rmSync(path, { recursive: true, force: true })
})

async function open(options: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const data = await openEmbedded({ path, clock: systemClock, ...options })
  opened.push(data)
  return data
}

async function withRecords(count: number): Promise<void> {
  const data = await open()
  await data.log.ensureTopics([{ name: 't', partitions: 1, cleanup: 'delete', retentionMs: null }])
  for (let i = 0; i < count; i++) {
    await data.log.append([
      { topic: 't', partition: 0, key: null, value: Buffer.from(`needle-${i} `.repeat(500)), timestampMs: 1 },
    ])
  }
  await data.close()
}

/** Runs a script with `open`, `path` and the lines' helper `say` in a process of its own, within limits given to the shell. */
function script(body: string, limits = 'true'): string {
  const source = `
    import { systemClock } from '@tidemark/base'
    import { openEmbedded } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))}
    const path = ${JSON.stringify(path)}
    const open = (options) => openEmbedded({ path, clock: systemClock, ...options })
    const topic = { name: 't', partitions: 1, cleanup: 'delete', retentionMs: null }
    const record = (value) => ({ topic: 't', partition: 0, key: null, value: Buffer.from(value), timestampMs: 1 })
    ${body}`
  const run = spawnSync(
    'bash',
    ['-c', `${limits} && exec "$0" --input-type=module -e "$1"`, process.execPath, source],
    {
      encoding: 'utf8',
      cwd: import.meta.dirname,
    },
  )
  if (run.status !== 0) throw new Error(`the script ended with ${run.status ?? run.signal}: ${run.stderr}`)
  return run.stdout
}

const corrupt = (...parts: string[]) => ({
  code: 'DATA_DIRECTORY_CORRUPT',
  message: expect.stringMatching(new RegExp([path, ...parts].join('.*'))),
})

describe('a data directory', () => {
  it('is refused while this process has it open, and free after close', async () => {
    const first = await open()
    await expect(open()).rejects.toMatchObject({ code: 'DATA_DIRECTORY_LOCKED' })
    await first.close()
    await open()
  })

  it('is refused to a second process, which learns the pid of the first', async () => {
    await open()
    const said = script('try { await open() } catch (error) { console.log(error.code, error.message) }')
    expect(said).toContain('DATA_DIRECTORY_LOCKED')
    expect(said).toContain(String(process.pid))
  })

  it('is taken over from a process that ended without closing it', async () => {
    expect(script('await open(); process.exit(0)')).toBe('')
    await open()
  })
})

describe('a file that is not a whole log', () => {
  it('is refused when it is of another kind', async () => {
    writeFileSync(join(path, 'data.mdb'), 'not a database '.repeat(1000))
    await expect(open()).rejects.toMatchObject(corrupt('not an LMDB file', 'backup'))
    expect(readFileSync(join(path, 'data.mdb'), 'utf8')).toMatch(/^not a database/)
  })

  it('is refused when it was cut short', async () => {
    await withRecords(50)
    const file = join(path, 'data.mdb')
    truncateSync(file, statSync(file).size - 8192 * 4)
    await expect(open()).rejects.toMatchObject(corrupt('cut short'))
    await expect(open({ readOnly: true })).rejects.toMatchObject(corrupt('cut short'))
    truncateSync(file, 100)
    await expect(open()).rejects.toMatchObject(corrupt('not an LMDB file'))
  })

  it('is refused when it is the database of another program', async () => {
    const other = openLmdb({ path })
    await other.put('key', 'value')
    await other.close()
    await expect(open()).rejects.toMatchObject(corrupt('another program'))
  })

  it('is refused when it was written in a newer format', async () => {
    await withRecords(1)
    const raw = openLmdb({ path, encoding: 'binary', keyEncoding: 'binary', maxDbs: 16, overlappingSync: false })
    await raw.put(Buffer.from('tidemark-log-format'), Buffer.from('2'))
    await raw.close()
    await expect(open()).rejects.toMatchObject(corrupt('format 2', 'format 1'))
  })

  it('is refused when there is none to read', async () => {
    await expect(open({ readOnly: true })).rejects.toMatchObject(corrupt('no log'))
  })

  it('leaves the directory unlocked after a refusal', async () => {
    writeFileSync(join(path, 'data.mdb'), 'not a database '.repeat(1000))
    await expect(open()).rejects.toMatchObject(corrupt())
    rmSync(join(path, 'data.mdb'))
    await open()
  })

  it('with a damaged record is noticed when that is read, and only then', async () => {
    await withRecords(20)
    const file = join(path, 'data.mdb')
    const bytes = readFileSync(file)
    const at = bytes.indexOf('needle-7 ')
    expect(at).toBeGreaterThan(0)
    bytes[at + 2000]! ^= 1
    writeFileSync(file, bytes)
    const { log } = await open()
    const fetch = (offset: number) => log.fetch({ topic: 't', partition: 0, offset, recordsMax: 1 })
    expect((await fetch(6)).records).toHaveLength(1)
    await expect(fetch(7)).rejects.toMatchObject(corrupt('t/0 at offset 7'))
    expect((await fetch(8)).records).toHaveLength(1)
  })
})

describe('a full disk', () => {
  it('throws DISK_FULL, keeps nothing of the failed write, and everything before', async () => {
    // A limit on the size of files, in blocks of 1,024 bytes, stands for the full disk: no privilege is needed for it.
    const said = script(
      `
      const data = await open()
      await data.log.ensureTopics([topic])
      let acknowledged = 0
      let failure
      while (!failure && acknowledged < 1000) {
        await data.log.append([record(acknowledged + 'x'.repeat(100_000)), record('end')]).then(() => acknowledged++, (error) => { failure = error })
      }
      console.log(failure?.code, failure?.message.includes(path), acknowledged > 10)
      const { end } = await data.log.bounds('t', 0)
      console.log(end === 2 * acknowledged)
      const again = await data.log.append([record('y'.repeat(200_000))]).catch((error) => error.code)
      console.log(again)
      await data.close()
    `,
      'ulimit -f 8000',
    )
    expect(said.trim().split('\n')).toEqual(['DISK_FULL true true', 'true', 'DISK_FULL'])
    const { log } = await open()
    const { end } = await log.bounds('t', 0)
    let count = 0
    for (let at = 0; at < end; ) {
      const { records, nextOffset } = await log.fetch({ topic: 't', partition: 0, offset: at })
      for (const { offset, value } of records) {
        if (offset % 2 === 0) expect(value!.toString().startsWith(`${offset / 2}x`)).toBe(true)
        count++
      }
      at = nextOffset
    }
    expect(count).toBe(end)
    await log.append([{ topic: 't', partition: 0, key: null, value: Buffer.from('room again'), timestampMs: 1 }])
    expect((await log.bounds('t', 0)).end).toBe(end + 1)
  })
})
