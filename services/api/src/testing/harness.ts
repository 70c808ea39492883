/** For the API's tests: an API over real tables and a real log, on a port of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import type { EventLog } from '@tidemark/log'
import { openEmbedded } from '@tidemark/log-embedded'
import { topicPlans } from '@tidemark/model'
import {
  type ChangeMaker,
  createChangeMaker,
  createTables,
  fillTables,
  type MadeChange,
} from '@tidemark/projection/testing'
import type { SqlStore } from '@tidemark/store'
import { openPglite } from '@tidemark/store-embedded'
import { openTemporaryStore } from '@tidemark/store-postgres/testing'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import fastify from 'fastify'
import { type ApiKey, hashApiKey } from '../auth.ts'
import type { ApiDeps, StatusProviders } from '../deps.ts'
import { registerApi } from '../index.ts'

export const SCHEMA = 'tidemark'
export const PARTITIONS = 3

export interface World {
  readonly log: EventLog
  readonly store: SqlStore
  readonly maker: ChangeMaker
  readonly deps: ApiDeps
  /** Appends changes to the log. */
  append(...made: MadeChange[]): Promise<void>
  /** Writes changes to the tables. */
  fill(made: readonly MadeChange[], nowMs?: number): Promise<void>
  /** Starts an API with these dependencies instead of the world's. */
  serve(overrides?: Overrides): Promise<Served>
  close(): Promise<void>
}

/** A key as whoever sends it knows it. */
export type TestKey = Omit<ApiKey, 'hash'> & { readonly key: string }
export type Overrides = Partial<Omit<ApiDeps, 'apiKeys'>> & { readonly apiKeys?: readonly TestKey[] }

export interface Served {
  readonly url: string
  get(path: string, headers?: Record<string, string>): Promise<{ status: number; headers: Headers; body: Body }>
  close(): Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: bodies are looked into freely by tests
type Body = any

export const noStatus: StatusProviders = {
  integrations: () => [],
  services: () => ({}),
  notReady: () => [],
  queuedSync: () => null,
  syncRuns: () => [],
}

/** A database with the projection's tables: in memory, or with TIDEMARK_TEST_STORE=postgres on a server. */
export async function openTables(): Promise<SqlStore> {
  const onServer = process.env['TIDEMARK_TEST_STORE'] === 'postgres'
  const store = onServer ? await openTemporaryStore() : await openPglite({ dataDir: 'memory' })
  await createTables(store, SCHEMA)
  return store
}

/** The store with some of its methods replaced. */
export function withMethods(store: SqlStore, methods: Partial<SqlStore>): SqlStore {
  return {
    query: (sql, params) => store.query(sql, params),
    transaction: (work) => store.transaction(work),
    script: (sql) => store.script(sql),
    close: () => store.close(),
    ...(store.copyRows ? { copyRows: store.copyRows.bind(store) } : {}),
    ...methods,
  }
}

/** Opens a world of its own, or over tables that are shared by several. */
export async function openWorld(shared?: SqlStore): Promise<World> {
  const clock = systemClock
  const path = await mkdtemp(join(tmpdir(), 'tidemark-api-'))
  const embedded = await openEmbedded({ path, clock })
  const { log } = embedded
  await log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
  const store = shared ?? (await openTables())
  const codec = await openCodec(embedded.registry)
  let ids = 0
  const deps: ApiDeps = {
    log,
    store,
    codec,
    clock,
    logger: silentLogger,
    metrics: createMetrics(),
    newId: () => `command-${++ids}`,
    schema: SCHEMA,
    status: noStatus,
    apiKeys: [],
  }
  const served: Served[] = []
  return {
    log,
    store,
    deps,
    maker: createChangeMaker(codec, { partitions: PARTITIONS }),
    append: async (...made) => {
      if (made.length > 0) await log.append(made)
    },
    fill: (made, nowMs = 0) => fillTables(store, SCHEMA, made, nowMs),
    async serve({ apiKeys = [], ...overrides } = {}) {
      const hashed = apiKeys.map(({ key, ...rest }) => ({ ...rest, hash: hashApiKey(key) }))
      const one = await serve({ ...deps, ...overrides, apiKeys: hashed })
      served.push(one)
      return one
    },
    async close() {
      await Promise.all(served.map((one) => one.close()))
      if (!shared) await store.close()
      await embedded.close()
      await rm(path, { recursive: true, force: true })
    },
  }
}

async function serve(deps: ApiDeps): Promise<Served> {
  const app = fastify({ forceCloseConnections: true })
  registerApi(app, deps)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    url,
    async get(path, headers = {}) {
      const response = await fetch(url + path, { headers })
      const text = await response.text()
      const isJson = response.headers.get('content-type')?.includes('json')
      return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
    },
    close: () => app.close(),
  }
}
