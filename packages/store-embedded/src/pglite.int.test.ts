import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { PGlite } from '@electric-sql/pglite'
import { storeContract } from '@tidemark/store/contract'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DurableFS, durableParameters } from './durable-fs.ts'
import { openPglite } from './pglite.ts'

const newDirectory = (): string => mkdtempSync(join(tmpdir(), 'store-embedded-'))

storeContract('store-embedded on disk', async () => {
  const dataDir = newDirectory()
  let store = await openPglite({ dataDir })
  return {
    store,
    reopen: async () => {
      await store.close()
      store = await openPglite({ dataDir })
      return store
    },
    dispose: async () => {
      await store.close()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
})

storeContract('store-embedded in memory', async () => {
  const store = await openPglite({ dataDir: 'memory' })
  return { store, reopen: null, dispose: () => store.close() }
})

/** Inserts pairs without end, two rows per transaction, and tells each number that was committed. */
const WRITER = `
  import { writeSync } from 'node:fs'
  import { openPglite } from ${JSON.stringify(join(import.meta.dirname, 'pglite.ts'))}
  const store = await openPglite({ dataDir: process.argv[1] })
  await store.script('CREATE TABLE IF NOT EXISTS killed (n int4, part int4, filler text)')
  const [{ next }] = await store.query('SELECT coalesce(max(n), 0) + 1 AS next FROM killed')
  writeSync(1, 'ready\\n')
  for (let n = next; ; n++) {
    await store.transaction(async (tx) => {
      await tx.query('INSERT INTO killed VALUES ($1, 0, $2)', [n, 'x'.repeat(500)])
      await tx.query('INSERT INTO killed VALUES ($1, 1, $2)', [n, 'x'.repeat(500)])
    })
    writeSync(1, 'committed ' + n + '\\n')
  }
`
const run = ['--input-type=module', '-e']
const cwd = import.meta.dirname

async function runAndKill(dataDir: string, afterMs: number): Promise<number> {
  const child = spawn(process.execPath, [...run, WRITER, dataDir], { stdio: ['ignore', 'pipe', 'inherit'], cwd })
  let output = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      output += chunk
      if (output.includes('ready')) resolve()
    })
    child.once('exit', (code) => reject(new Error(`the writer ended by itself with ${code}`)))
  })
  await sleep(afterMs)
  const closed = once(child, 'close')
  child.kill('SIGKILL')
  await closed
  return Math.max(0, ...[...output.matchAll(/^committed (\d+)$/gm)].map((match) => Number(match[1])))
}

describe('a database directory', () => {
  let dataDir: string
  beforeAll(() => {
    dataDir = newDirectory()
  })
  afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

  it('keeps every committed transaction, and no half of one, when its process is killed', async () => {
    for (const afterMs of [40, 5, 90, 60]) {
      const committed = await runAndKill(dataDir, afterMs)
      const store = await openPglite({ dataDir })
      const [row] = await store.query<{ last: number; pairs: string; rows: string }>(
        'SELECT coalesce(max(n), 0) AS last, count(DISTINCT n) AS pairs, count(*) AS rows FROM killed',
      )
      expect(row!.last).toBeGreaterThanOrEqual(committed)
      expect([Number(row!.pairs), Number(row!.rows)]).toEqual([row!.last, 2 * row!.last])
      await store.close()
    }
  }, 120_000)

  it('waits for the disk at every commit', async () => {
    const store = await openPglite({ dataDir })
    const settings = await store.query(
      'SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[]) ORDER BY name',
      [['fsync', 'full_page_writes', 'synchronous_commit', 'wal_sync_method']],
    )
    expect(settings.map(({ name, setting }) => `${name}=${setting}`)).toEqual([
      'fsync=on',
      'full_page_writes=on',
      'synchronous_commit=on',
      'wal_sync_method=fsync',
    ])
    await store.close()

    // PGlite's own file system does not sync: this one must be asked to, whatever a new version of PGlite does.
    const fs = new DurableFS(join(dataDir, 'pglite'))
    const db = await PGlite.create({ fs, startParams: durableParameters(PGlite.defaultStartParams) })
    for (let i = 0; i < 3; i++) {
      const before = fs.syncs
      await db.query('INSERT INTO killed SELECT max(n) + 1, part, filler FROM killed GROUP BY part, filler')
      expect(fs.syncs).toBeGreaterThan(before)
    }
    await db.close()
  })

  it('is refused to a second process, and to a second opening here', async () => {
    const store = await openPglite({ dataDir })
    const script = `import { openPglite } from ${JSON.stringify(join(import.meta.dirname, 'pglite.ts'))}
      await openPglite({ dataDir: process.argv[1] }).catch((error) => console.log(error.code, error.message))`
    const { stdout } = spawnSync(process.execPath, [...run, script, dataDir], { encoding: 'utf8', cwd })
    expect(stdout).toContain('DATA_DIRECTORY_LOCKED')
    expect(stdout).toContain(String(process.pid))
    await expect(openPglite({ dataDir })).rejects.toMatchObject({ code: 'DATA_DIRECTORY_LOCKED' })
    await store.close()
  })

  it('is refused when its database is damaged, missing, or of another format', async () => {
    const refused = { code: 'DATA_DIRECTORY_CORRUPT', message: expect.stringContaining(dataDir) }
    const marker = join(dataDir, 'tidemark-store.json')
    const good = readFileSync(marker, 'utf8')
    for (const bad of ['{"format":2,"postgres":"18"}', '{"for']) {
      writeFileSync(marker, bad)
      await expect(openPglite({ dataDir })).rejects.toMatchObject(refused)
    }
    writeFileSync(marker, good)
    writeFileSync(join(dataDir, 'pglite/global/pg_control'), 'damaged')
    await expect(openPglite({ dataDir })).rejects.toMatchObject(refused)
    rmSync(join(dataDir, 'pglite'), { recursive: true })
    await expect(openPglite({ dataDir })).rejects.toMatchObject(refused)
  })

  it('whose creation was cut off is created anew', async () => {
    rmSync(join(dataDir, 'tidemark-store.json'))
    const store = await openPglite({ dataDir })
    expect(await store.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    await store.close()
  })
})

describe('a refused statement', () => {
  it('tells nothing of the data: neither the parameters nor the value that was refused', async () => {
    const store = await openPglite({ dataDir: 'memory' })
    const refused = await store.query('select $1::text::int', ['Frodo Baggins']).catch((error: unknown) => error)
    await store.close()
    expect(refused).toMatchObject({ code: 'STORE_FAILED', fields: { sqlState: '22P02' } })
    expect(inspect(refused, { depth: 10 })).not.toContain('Frodo')
  })
})
