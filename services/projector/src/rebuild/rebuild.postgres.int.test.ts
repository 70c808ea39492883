import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { registerApi } from '@tidemark/api'
import { seededRandom, systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { openEmbedded } from '@tidemark/log-embedded'
import { MODEL_NAMES, topicPlans } from '@tidemark/model'
import { createChangeMaker, type MadeChange } from '@tidemark/projection/testing'
import { openPostgres, type PostgresStore } from '@tidemark/store-postgres'
import { createTestDatabase, postgresUrl, type TestDatabase } from '@tidemark/store-postgres/testing'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import fastify, { type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createProjector, type ProjectorDeps, rebuildProjection } from '../index.ts'
import { contents, eventually, openRig, PARTITIONS, type Rig } from '../testing/harness.ts'
import { INTEGRATION, livesOfAll } from '../testing/lives.ts'

const serverUrl = await postgresUrl()
const SCHEMA = 'tidemark'

describe.skipIf(serverUrl === undefined)('a rebuild on a server', () => {
  let database: TestDatabase
  const opened: PostgresStore[] = []
  const openStore = async (): Promise<PostgresStore> => {
    const store = await openPostgres({ url: database.url })
    opened.push(store)
    return store
  }
  beforeAll(async () => {
    database = await createTestDatabase(serverUrl as string)
  })
  afterAll(async () => {
    await Promise.all(opened.map((store) => store.close()))
    await database.drop()
  })

  test('is not noticed by readers, while the projector writes on', async () => {
    const rig = await openRig()
    const [store, other] = [await openStore(), await openStore()]
    const api = fastify()
    registerApi(api, apiDeps(rig, store))
    try {
      await rig.log.append(livesOfAll(rig.maker, 3, 2))
      await rig.log.append(newCandidates(rig, 0, 300))
      const projector = rig.projector({ store, schema: SCHEMA })
      await projector.start()
      await allPassed(rig, store, SCHEMA)

      const over = new AbortController()
      const writing = write(rig, over.signal)
      const poller = createPoller(api)
      const reading = Promise.all([
        growing(() => countOfListing(api), over.signal),
        growing(() => countsOfStatus(api), over.signal),
        growing(() => lengthOfHistory(api, rig.maker.idOf(INTEGRATION, 'candidates', 'n0')), over.signal),
        polling(poller, over.signal),
      ])
      // What a reader fails with is seen at once, and not as a rejection that nobody waits for.
      reading.catch(() => over.abort())
      for (let n = 0; n < 3; n++) {
        const result = await rebuildProjection(
          { ...rebuildDeps(rig), store: other, schema: SCHEMA },
          { batchMax: 200, erasureAfterMs: null },
        )
        expect(result).toMatchObject({ outcome: 'switched', oldKept: null })
      }
      over.abort()
      await writing
      for (const count of await reading) expect(count).toBeGreaterThan(2)
      await allPassed(rig, store, SCHEMA)
      await poller.poll()
      await projector.stop()

      // A projection that nobody rebuilt says the same, and whoever polled by time knows it all.
      const plain = rig.projector({ store, schema: 'plain' })
      await plain.start()
      await allPassed(rig, store, 'plain')
      await plain.stop()
      expect(await contents(store, SCHEMA, MODEL_NAMES)).toEqual(await contents(store, 'plain', MODEL_NAMES))
      const names = await store.query<{ id: string; name: string }>(
        `select id, first_name as name from plain.candidates where integration_id = $1`,
        [INTEGRATION],
      )
      for (const { id, name } of names) expect([id, poller.known.get(id)]).toEqual([id, name])
    } finally {
      await api.close()
      await rig.close()
    }
  }, 120_000)

  test('survives being killed, and two processes do not rebuild at once', async () => {
    const path = await mkdtemp(join(tmpdir(), 'tidemark-rebuild-'))
    const store = await openStore()
    const schema = 'killed'
    try {
      const embedded = await openEmbedded({ path, clock: systemClock })
      await embedded.log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
      const codec = await openCodec(embedded.registry)
      const maker = createChangeMaker(codec, { partitions: PARTITIONS })
      const made = livesOfAll(maker, 4, 5)
      await embedded.log.append(made)
      const deps = { log: embedded.log, codec, clock: systemClock, logger: silentLogger, metrics: createMetrics() }
      const options = { erasureAfterMs: null }
      const plain = createProjector({ ...deps, store, schema, options })
      await plain.start()
      await eventually(() => plain.status().lag === 0 && plain.status().projected === made.length)
      await plain.stop()
      await embedded.close()
      const rows = await contents(store, schema, MODEL_NAMES)

      const random = seededRandom(7)
      let kills = 0
      let finished = false
      // The first ones die while they fill, the later ones while they make indexes, catch up, switch and drop.
      for (let n = 0; n < 8 && !finished; n++) {
        const died = await runAndKill(path, schema, database.url, n < 3 ? 2 + n : 5 + random.int(9))
        if (died) kills++
        else finished = true
        expect(await contents(store, schema, MODEL_NAMES)).toEqual(rows)
      }
      expect(kills).toBeGreaterThan(2)
      const again = await openEmbedded({ path, clock: systemClock })
      const last = { ...deps, log: again.log, codec: await openCodec(again.registry), store, schema }
      await rebuildProjection(last, options)
      expect(await contents(store, schema, MODEL_NAMES)).toEqual(rows)
      const left = await store.query(`select 1 from pg_namespace where nspname like 'killed\\_%'`)
      expect(left).toEqual([])

      const second: Promise<unknown>[] = []
      const onProgress = (): void => {
        if (second.length === 0) second.push(rebuildProjection(last, options).catch((error: unknown) => error))
      }
      await rebuildProjection({ ...last, store: await openStore() }, { ...options, onProgress })
      expect(await second[0]).toMatchObject({ code: 'OVERLOADED' })
      await again.close()
    } finally {
      await rm(path, { recursive: true, force: true })
    }
  }, 120_000)
})

/** Waits until a projection has passed every change. */
async function allPassed(rig: Rig, store: PostgresStore, schema: string): Promise<void> {
  const topics = (await rig.log.listTopics()).filter(({ name }) => name.endsWith('.changes'))
  const places = topics.flatMap(({ name, partitions }) => Array.from({ length: partitions }, (_, p) => ({ name, p })))
  const bounds = await Promise.all(places.map(({ name, p }) => rig.log.bounds(name, p)))
  const end = bounds.reduce((sum, bound) => sum + bound.end, 0)
  await eventually(async () => {
    const [row] = await store.query(`select sum(next_offset)::float8 as at from ${schema}.projection_offsets`)
    return row?.['at'] === end
  })
}

const rebuildDeps = (rig: Rig): Omit<ProjectorDeps, 'store' | 'schema' | 'options'> => ({
  log: rig.log,
  codec: rig.codec,
  metrics: rig.metrics,
  clock: rig.clock,
  logger: silentLogger,
})

function apiDeps(rig: Rig, store: PostgresStore): Parameters<typeof registerApi>[1] {
  return {
    ...rebuildDeps(rig),
    store,
    schema: SCHEMA,
    newId: () => 'command',
    apiKeys: [],
    status: {
      integrations: () => [],
      services: () => ({}),
      notReady: () => [],
      queuedSync: () => null,
      syncRuns: () => [],
    },
  }
}

function newCandidates(rig: Rig, from: number, to: number): MadeChange[] {
  const made: MadeChange[] = []
  for (let n = from; n < to; n++) {
    made.push(rig.maker.make(INTEGRATION, 'candidates', `n${n}`, { first_name: `made ${n}` }))
  }
  return made
}

/** New candidates and changes of old ones, a few at a time, until the signal. */
async function write(rig: Rig, signal: AbortSignal): Promise<void> {
  for (let turn = 1; !signal.aborted; turn++) {
    const changed = [0, turn % 300].map((n) =>
      rig.maker.make(INTEGRATION, 'candidates', `n${n}`, { first_name: `${n}, turn ${turn}` }),
    )
    await rig.log.append([...newCandidates(rig, 300 + turn, 301 + turn), ...changed])
    await systemClock.sleep(10)
  }
}

// biome-ignore lint/suspicious/noExplicitAny: bodies are looked into freely by tests
async function get(api: FastifyInstance, url: string): Promise<any> {
  const response = await api.inject({ url, headers: { 'x-integration-id': INTEGRATION } })
  expect([response.statusCode, response.body.slice(0, 300)]).toEqual([200, expect.any(String)])
  return response.json()
}

/** Every page of the listing, by its cursors. */
async function* listing(api: FastifyInstance, query: string) {
  let cursor: string | null = null
  do {
    const at: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const { data } = await get(api, `/v1/ats/candidates?page_size=50&include_deleted=true${query}${at}`)
    yield data.results as readonly { id: string; first_name: string | null }[]
    cursor = data.next
  } while (cursor !== null)
}

async function countOfListing(api: FastifyInstance): Promise<number> {
  const ids = new Set<string>()
  for await (const page of listing(api, '')) for (const { id } of page) ids.add(id)
  return ids.size
}

async function countsOfStatus(api: FastifyInstance): Promise<number> {
  const { data } = await get(api, '/v1/status')
  return data.totals.records + data.totals.changes
}

async function lengthOfHistory(api: FastifyInstance, id: string): Promise<number> {
  const { data } = await get(api, `/v1/records/candidates/${id}/history?page_size=1`)
  return data.results[0].version
}

/** Reads until the signal; what it counts never shrinks. Resolves with the number of times it read. */
async function growing(count: () => Promise<number>, signal: AbortSignal): Promise<number> {
  let last = 0
  let reads = 0
  while (!signal.aborted) {
    const now = await count()
    expect(now).toBeGreaterThanOrEqual(last)
    last = now
    reads++
  }
  return reads
}

/** Longer than the time between the stamping of a row and its commit, on a busy machine. */
const SLACK_MS = 1500

/** Keeps a copy up to date by asking for what was updated since it asked last. */
function createPoller(api: FastifyInstance) {
  const known = new Map<string, string | null>()
  let since = 0
  return {
    known,
    async poll(): Promise<void> {
      const begun = Date.now()
      const after = encodeURIComponent(new Date(Math.max(0, since - SLACK_MS)).toISOString())
      for await (const page of listing(api, `&updated_after=${after}`)) {
        for (const { id, first_name } of page) known.set(id, first_name)
      }
      since = begun
    },
  }
}

async function polling(poller: ReturnType<typeof createPoller>, signal: AbortSignal): Promise<number> {
  let polls = 0
  while (!signal.aborted) {
    await poller.poll()
    polls++
  }
  return polls
}

/** Rebuilds in a process of its own, and tells each step on a line. */
const CHILD = `
  import { writeSync } from 'node:fs'
  import { systemClock } from '@tidemark/base'
  import { openCodec } from '@tidemark/codec'
  import { openEmbedded } from '@tidemark/log-embedded'
  import { openPostgres } from '@tidemark/store-postgres'
  import { createMetrics, silentLogger } from '@tidemark/telemetry'
  import { rebuildProjection } from '../index.ts'
  const [, path, schema, url] = process.argv
  const { log, registry, close } = await openEmbedded({ path, clock: systemClock })
  const store = await openPostgres({ url })
  const tell = (transaction) => (work) => { writeSync(1, 'step\\n'); return transaction(work) }
  const told = { query: store.query.bind(store), script: store.script.bind(store), close: store.close.bind(store),
    copyRows: store.copyRows.bind(store), transaction: tell(store.transaction.bind(store)) }
  const deps = { log, codec: await openCodec(registry), clock: systemClock, logger: silentLogger, metrics: createMetrics() }
  await rebuildProjection({ ...deps, store: told, schema }, { batchMax: 60, erasureAfterMs: null })
  process.exit(0)
`

/** Kills it at its n-th transaction, or somewhat later. Resolves with false when it had ended by itself. */
async function runAndKill(path: string, schema: string, url: string, steps: number): Promise<boolean> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD, path, schema, url], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: import.meta.dirname,
  })
  const ended = once(child, 'close') as Promise<[number | null, string | null]>
  let seen = 0
  child.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString().split('\n').length - 1
    if (seen >= steps) child.kill('SIGKILL')
  })
  const [code, signal] = await ended
  expect([code, signal]).toContainEqual(signal === null ? 0 : 'SIGKILL')
  return signal === 'SIGKILL'
}
