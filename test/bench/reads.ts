import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { openEmbedded } from '@tidemark/log-embedded'
import { topicPlans } from '@tidemark/model'
import { rebuildProjection } from '@tidemark/projector'
import { openPostgres } from '@tidemark/store-postgres'
import { createTestDatabase, postgresUrl } from '@tidemark/store-postgres/testing'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import { Client } from 'pg'
import { appendCompany, FIRST_MS, STEP_MS } from './applications.ts'
import { CHANGE_INTEGRATION, CHANGE_PARTITIONS } from './changes.ts'
import { median } from './memory.ts'
import { ApiServer } from './server.ts'

/** Milliseconds of each page. */
type Pages = readonly number[]

const PAGE = 250

/**
 * `GET /v1/ats/applications?page_size=250` from the first to the last page, with candidate, stage, job, interviews and offers in each application, as
 * they are and as of two times; beside the same rows read page by page with bare SQL, one query a page, by this process.
 */
export async function benchReads(
  { records, rounds }: { readonly records: number; readonly rounds: number },
  print: (line: string) => void,
): Promise<void> {
  const serverUrl = await postgresUrl()
  if (serverUrl === undefined) throw new Error('there is no PostgreSQL server to measure')
  const path = mkdtempSync(join(tmpdir(), 'tidemark-bench-reads-'))
  const database = await createTestDatabase(serverUrl)
  try {
    const changes = await fill(path, database.url, records)
    const server = await ApiServer.start(path, database.url)
    const client = new Client({ connectionString: database.url })
    await client.connect()
    const now = `as_of=${new Date(FIRST_MS + changes * STEP_MS).toISOString()}`
    // Before the last tenth of the applications had moved on.
    const then = `as_of=${new Date(FIRST_MS + (changes - Math.floor(records / 10)) * STEP_MS).toISOString()}`
    const kinds: readonly (readonly [string, () => Promise<Pages>])[] = [
      ['bare SQL', () => readSql(client)],
      ['as they are', () => readPages(server.url, '')],
      ['as of the end', () => readPages(server.url, now)],
      ['as of before', () => readPages(server.url, then)],
    ]
    const all = new Map<string, Pages[]>()
    // Once before, so that everybody's caches are warm.
    for (const [name, read] of kinds) {
      await read()
      all.set(name, [])
    }
    for (let round = 1; round <= rounds; round++)
      for (const [name, read] of kinds) {
        const pages = await read()
        all.get(name)?.push(pages)
        print(`round ${round}   ${describe(name, pages)}`)
      }
    summarize(all, print)
    await client.end()
    server.kill()
  } finally {
    await database.drop()
    rmSync(path, { recursive: true, force: true })
  }
}

async function fill(path: string, url: string, applications: number): Promise<number> {
  const embedded = await openEmbedded({ path, clock: systemClock })
  await embedded.log.ensureTopics(topicPlans({ partitions: CHANGE_PARTITIONS }))
  const codec = await openCodec(embedded.registry)
  const changes = await appendCompany(embedded.log, codec, applications)
  const store = await openPostgres({ url, statementTimeoutMs: 0 })
  const base = { log: embedded.log, store, codec, clock: systemClock, logger: silentLogger, metrics: createMetrics() }
  const result = await rebuildProjection({ ...base, schema: 'tidemark' }, {})
  if (result.outcome !== 'switched' || result.failed > 0) throw new Error(`unexpected: ${JSON.stringify(result)}`)
  await store.close()
  await embedded.close()
  return changes
}

async function readPages(url: string, parameters: string): Promise<Pages> {
  const pages: number[] = []
  let cursor: string | null = null
  do {
    const query: string = [
      `page_size=${PAGE}`,
      parameters,
      cursor === null ? '' : `cursor=${encodeURIComponent(cursor)}`,
    ]
      .filter((part) => part !== '')
      .join('&')
    const startedAt = performance.now()
    const response = await fetch(`${url}/v1/ats/applications?${query}`, {
      headers: { 'x-integration-id': CHANGE_INTEGRATION },
    })
    const body = (await response.json()) as {
      readonly data: { readonly next: string | null; readonly results: unknown[] }
    }
    pages.push(performance.now() - startedAt)
    if (response.status !== 200) throw new Error(JSON.stringify(body))
    cursor = body.data.next
  } while (cursor !== null)
  return pages
}

async function readSql(client: Client): Promise<Pages> {
  const pages: number[] = []
  let after: readonly [string, string] = ['-infinity', '']
  for (;;) {
    const startedAt = performance.now()
    const { rows } = await client.query<{ effective_changed_at: string; id: string }>(
      `select t.*, t.effective_changed_at::text as effective_changed_at from tidemark.applications t
where t.integration_id = $1 and t.remote_deleted_at is null and (t.effective_changed_at, t.id) > ($2::timestamptz, $3)
order by t.effective_changed_at, t.id limit ${PAGE}`,
      [CHANGE_INTEGRATION, ...after],
    )
    pages.push(performance.now() - startedAt)
    const last = rows.at(-1)
    if (rows.length < PAGE || !last) return pages
    after = [last.effective_changed_at, last.id]
  }
}

const perSecond = (pages: Pages): number => (pages.length * 1000) / pages.reduce((sum, ms) => sum + ms, 0)

function describe(name: string, pages: Pages): string {
  const sorted = [...pages].sort((a, b) => a - b)
  const at = (q: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0).toFixed(1)
  return `${name.padEnd(14)} ${pages.length} pages   p50 ${at(0.5)} ms   p99 ${at(0.99)} ms   ${perSecond(pages).toFixed(0)} pages/s`
}

function summarize(all: ReadonlyMap<string, readonly Pages[]>, print: (line: string) => void): void {
  const of = (name: string): number => median((all.get(name) ?? []).map(perSecond))
  const plain = of('as they are')
  print(`median    of the rate of bare SQL: ${(plain / of('bare SQL')).toFixed(2)}`)
  for (const name of ['as of the end', 'as of before'])
    print(`median    ${name}: ${(plain / of(name)).toFixed(2)} times the plain read`)
}
