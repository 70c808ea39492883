import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Pool } from 'undici'
import { median } from './memory.ts'

const KEY = 'the-api-key-of-the-bench'
/** Requests under way at a time. */
const CONCURRENCY = 64

interface Server {
  readonly url: string
  readonly child: ChildProcess
}

/**
 * An initial run of Knit, one request a record, as tidemark accepts it (proved, stored, synced, answered 200), beside a route that only checks
 * the signature; each in a process of its own, one after the other, several rounds.
 */
export async function benchAccept(
  { records, rounds }: { readonly records: number; readonly rounds: number },
  print: (line: string) => void,
): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'tidemark-bench-accept-'))
  const servers = { bare: await start('bare', path), tidemark: await start('tidemark', path) }
  const rates = { bare: [] as number[], tidemark: [] as number[] }
  try {
    for (const name of ['bare', 'tidemark'] as const) await send(servers[name].url, Math.ceil(records / 10), 'warm')
    for (let round = 1; round <= rounds; round++)
      for (const name of ['bare', 'tidemark'] as const) {
        const perSecond = await send(servers[name].url, records, `${name}-${round}`)
        rates[name].push(perSecond)
        print(`round ${round}   ${name.padEnd(8)} ${Math.round(perSecond).toLocaleString('en-US')} accepted/s`)
      }
    print(`median    of the rate of the bare route: ${(median(rates.tidemark) / median(rates.bare)).toFixed(2)}`)
  } finally {
    for (const { child } of Object.values(servers)) child.kill()
    rmSync(path, { recursive: true, force: true })
  }
}

async function start(kind: string, path: string): Promise<Server> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'acceptServer.ts'), kind, KEY, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return { ...(JSON.parse((await lines.next()).value as string) as { readonly url: string }), child }
}

/** Sends so many record events, each with ids of its own; returns how many a second were accepted. Throws when one is not. */
async function send(url: string, records: number, run: string): Promise<number> {
  const sample = new URL('../../packages/connectors/knit/fixtures/application.json', import.meta.url)
  const event = JSON.parse(readFileSync(sample, 'utf8')) as Record<string, unknown>
  const pool = new Pool(url, { connections: CONCURRENCY })
  let next = 0
  const startedAt = performance.now()
  const work = async (): Promise<void> => {
    for (let n = next++; n < records; n = next++) {
      const body = JSON.stringify({ ...event, eventId: `${run}-${n}`, recordId: `A-${n}`, syncRunId: run })
      const signature = createHmac('sha256', KEY).update(body).digest('base64url')
      const headers = {
        'content-type': 'application/json',
        'x-knit-signature': signature,
        'x-knit-integration-id': 'bench',
      }
      const response = await pool.request({ method: 'POST', path: '/webhooks/knit', headers, body })
      await response.body.dump()
      if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, work))
  const seconds = (performance.now() - startedAt) / 1000
  await pool.close()
  return records / seconds
}
