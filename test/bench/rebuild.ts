import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { systemClock } from '@tidemark/base'
import { type OpenCodec, openCodec } from '@tidemark/codec'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import { topicPlans } from '@tidemark/model'
import { rebuildProjection } from '@tidemark/projector'
import { openPostgres } from '@tidemark/store-postgres'
import { createTestDatabase, postgresUrl, type TestDatabase } from '@tidemark/store-postgres/testing'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import { Client } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { appendChanges, CHANGE_PARTITIONS } from './changes.ts'
import { median, mib, rate, watchMemory } from './memory.ts'

export interface RebuildBench {
  readonly records: number
  readonly rounds: number
}

/** Seconds. */
export interface RebuildRound {
  readonly copy: number
  readonly rebuild: number
  readonly phases: Readonly<Record<string, number>>
  readonly peak: number
}

const SCHEMA = 'tidemark'
const BARE = 'bare'
/** What a rebuild writes; every other table stays empty here, or holds some rows of bookkeeping. */
const TABLES = ['changes', 'candidates', 'candidates_history'] as const

/**
 * A rebuild of the projection of `records` changes of candidates (70 % created, 30 % updated, scattered over 12 partitions of an embedded
 * log) into PostgreSQL, beside live tables of the same content, from an empty schema to switched tables with all their keys, indexes and
 * statistics.
 *
 * The reference writes the same rows, every row of `changes` and every state of every candidate, with `COPY … FROM STDIN` in one
 * transaction per table: from files in COPY's own text format, made before, into tables of the same columns without any key or index.
 */
export async function benchRebuild(
  { records, rounds }: RebuildBench,
  print: (line: string) => void,
): Promise<RebuildRound[]> {
  const serverUrl = await postgresUrl()
  if (serverUrl === undefined) throw new Error('there is no PostgreSQL server to measure')
  const path = mkdtempSync(join(tmpdir(), 'tidemark-bench-rebuild-'))
  const database = await createTestDatabase(serverUrl)
  try {
    const embedded = await openEmbedded({ path: join(path, 'log'), clock: systemClock })
    await embedded.log.ensureTopics(topicPlans({ partitions: CHANGE_PARTITIONS }))
    const codec = await openCodec(embedded.registry)
    const bytes = await appendChanges(embedded.log, codec, records)
    print(`${Math.round(bytes / records)} bytes per encoded change`)
    const warmUp = await rebuild(database, embedded, codec)
    print(`first rebuild, without live tables   ${warmUp.seconds.toFixed(1)} s ${describe(warmUp.phases)}`)
    const rowBytes = await withClient(database, (client) => saveRows(client, path))
    print(`${(rowBytes / 1e6).toFixed(0)} MB of rows as COPY's text`)
    const results: RebuildRound[] = []
    for (let round = 1; round <= rounds; round++) {
      const copy = await withClient(database, (client) => bareCopy(client, path))
      const { seconds, phases, peak } = await rebuild(database, embedded, codec)
      results.push({ copy, rebuild: seconds, phases, peak })
      print(
        `round ${round}   bare COPY ${copy.toFixed(1)} s   rebuild ${seconds.toFixed(1)} s ${describe(phases)}   ` +
          `ratio ${(copy / seconds).toFixed(2)}   private memory ${mib(peak)}`,
      )
    }
    await embedded.close()
    return results
  } finally {
    await database.drop()
    rmSync(path, { recursive: true, force: true })
  }
}

const describe = (phases: Readonly<Record<string, number>>): string =>
  `(${Object.entries(phases)
    .map(([name, seconds]) => `${name} ${seconds.toFixed(1)}`)
    .join(', ')})`

async function rebuild(
  { url }: TestDatabase,
  { log }: Embedded,
  codec: OpenCodec,
): Promise<{ seconds: number; phases: Record<string, number>; peak: number }> {
  const store = await openPostgres({ url, statementTimeoutMs: 0 })
  const phases: Record<string, number> = {}
  let [phase, since] = ['start', performance.now()]
  const enter = (next: string): void => {
    if (next === phase) return
    const now = performance.now()
    phases[phase] = (phases[phase] ?? 0) + (now - since) / 1000
    ;[phase, since] = [next, now]
  }
  try {
    await store.script('checkpoint')
    const deps = {
      log,
      store,
      codec,
      clock: systemClock,
      logger: silentLogger,
      metrics: createMetrics(),
      schema: SCHEMA,
    }
    const memory = watchMemory()
    const startedAt = performance.now()
    const result = await rebuildProjection(deps, { onProgress: (progress) => enter(progress.phase) })
    const seconds = (performance.now() - startedAt) / 1000
    enter('end')
    if (result.outcome !== 'switched' || result.failed > 0) throw new Error(`unexpected: ${JSON.stringify(result)}`)
    return { seconds, phases, peak: memory() }
  } finally {
    await store.close()
  }
}

async function withClient<T>({ url }: TestDatabase, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const fileOf = (path: string, table: string): string => join(path, `${table}.copy`)

/** Saves the rows as files, and returns their bytes. */
async function saveRows(client: Client, path: string): Promise<number> {
  let bytes = 0
  for (const table of TABLES) {
    const file = createWriteStream(fileOf(path, table))
    await pipeline(client.query(copyTo(`copy ${SCHEMA}.${table} to stdout`)), file)
    bytes += file.bytesWritten
  }
  return bytes
}

/** Seconds of the reference. */
async function bareCopy(client: Client, path: string): Promise<number> {
  await client.query(`drop schema if exists ${BARE} cascade`)
  await client.query(`create schema ${BARE}`)
  for (const table of TABLES) await client.query(`create table ${BARE}.${table} (like ${SCHEMA}.${table})`)
  await client.query('checkpoint')
  const startedAt = performance.now()
  for (const table of TABLES) {
    const file = createReadStream(fileOf(path, table), { highWaterMark: 1024 * 1024 })
    await pipeline(file, client.query(copyFrom(`copy ${BARE}.${table} from stdin`)))
  }
  const seconds = (performance.now() - startedAt) / 1000
  await client.query(`drop schema ${BARE} cascade`)
  return seconds
}

export function printRebuild(records: number, rounds: readonly RebuildRound[], print: (line: string) => void): void {
  const of = (seconds: (round: RebuildRound) => number): string => rate(records / median(rounds.map(seconds)))
  const ratio = median(rounds.map(({ copy, rebuild }) => copy / rebuild))
  print('reference: bare COPY of the same rows, from files, one session, into tables without keys and indexes')
  print(`median    bare COPY ${of((r) => r.copy)}   rebuild ${of((r) => r.rebuild)}   ratio ${ratio.toFixed(2)}`)
  print(`private memory of the rebuild, peak: ${mib(Math.max(...rounds.map(({ peak }) => peak)))}`)
}
