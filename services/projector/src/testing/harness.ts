/** For the projector's tests: a real log, real tables, and stores that fail when told to. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '@tidemark/base'
import { type OpenCodec, openCodec } from '@tidemark/codec'
import type { EventLog } from '@tidemark/log'
import { openEmbedded } from '@tidemark/log-embedded'
import { DEAD_LETTERS_TOPIC, type ModelName, topicPlans } from '@tidemark/model'
import { pastColumns, pastName, selectExpression, selectList, tableName } from '@tidemark/projection'
import { type ChangeMaker, createChangeMaker, type MadeChange } from '@tidemark/projection/testing'
import type { SqlRunner, SqlStore } from '@tidemark/store'
import { openPglite } from '@tidemark/store-embedded'
import { openTemporaryStore } from '@tidemark/store-postgres/testing'
import { createMetrics, type Metrics, silentLogger } from '@tidemark/telemetry'
import { createProjector, type Projector, type ProjectorDeps } from '../index.ts'

export const PARTITIONS = 3

/** A database in memory; with TIDEMARK_TEST_STORE=postgres one on a server, which closing drops. */
export const openStore = (): Promise<SqlStore> =>
  process.env['TIDEMARK_TEST_STORE'] === 'postgres' ? openTemporaryStore() : openPglite({ dataDir: 'memory' })

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

export interface Rig {
  readonly log: EventLog
  readonly codec: OpenCodec
  readonly maker: ChangeMaker
  readonly metrics: Metrics
  readonly clock: Clock
  /** A projector over the rig's log. */
  projector(deps: Pick<ProjectorDeps, 'store' | 'schema'> & Partial<ProjectorDeps>): Projector
  deadLetters(): Promise<{ topic: string | null; offset: number | null; code: string; record_key: string | null }[]>
  close(): Promise<void>
}

export async function openRig(): Promise<Rig> {
  const path = await mkdtemp(join(tmpdir(), 'tidemark-projector-'))
  const embedded = await openEmbedded({ path, clock: systemClock })
  const { log } = embedded
  await log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
  const codec = await openCodec(embedded.registry)
  const metrics = createMetrics()
  const started: Projector[] = []
  return {
    log,
    codec,
    metrics,
    clock: systemClock,
    maker: createChangeMaker(codec, { partitions: PARTITIONS }),
    projector(deps) {
      // Records of tests were deleted long ago.
      const options = { backoff: { startMs: 1, maxMs: 5 }, erasureAfterMs: null, ...deps.options }
      const base = { log, codec, metrics, clock: systemClock, logger: silentLogger }
      const projector = createProjector({ ...base, ...deps, options })
      started.push(projector)
      return projector
    },
    async deadLetters() {
      const found = []
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const { records } = await log.fetch({ topic: DEAD_LETTERS_TOPIC, partition, offset: 0 })
        for (const { value } of records) if (value) found.push(codec.decode('DeadLetter', value))
      }
      return found
    },
    async close() {
      await Promise.all(started.map((projector) => projector.stop()))
      await embedded.close()
      await rm(path, { recursive: true, force: true })
    },
  }
}

/** Waits, in steps of the event loop, until the condition holds. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let n = 0; n < 2000; n++) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  throw new Error('it never happened')
}

/** Everything a schema holds, in an order of its own; without the time at which rows became readable. */
export async function contents(store: SqlRunner, schema: string, models: readonly ModelName[]): Promise<object> {
  const rows: Record<string, unknown> = {}
  const past: Record<string, unknown> = {}
  for (const model of models) {
    const found = await store.query(
      `select ${selectList(model)} from ${schema}.${tableName(model)} t order by t.record_key`,
    )
    rows[model] = found.map(({ effective_changed_at: _, ...row }) => row)
    past[model] = await pastRows(store, schema, model)
  }
  const history = await store.query(`select record_key, version::int4 as version, event_id, op, fields, changes, cause
from ${schema}.changes order by record_key, version`)
  const counts =
    await store.query(`select integration_id, model, partition, records::int4 as records, deleted::int4 as deleted,
changes::int4 as changes from ${schema}.record_counts order by 1, 2, 3`)
  const offsets =
    await store.query(`select topic, partition, next_offset::int4 as next_offset from ${schema}.projection_offsets
order by 1, 2`)
  const erasures = await store.query(
    `select model, record_key, version::int4 as version, erased_at from ${schema}.erasures order by 1, 2, 3`,
  )
  return { rows, past, history, counts, offsets, erasures }
}

/** Every superseded version of a model's records. */
export async function pastRows(store: SqlRunner, schema: string, model: ModelName): Promise<Record<string, unknown>[]> {
  const columns = pastColumns(model).map((column) => selectExpression(column))
  return store.query(
    `select ${columns.join(', ')} from ${schema}.${pastName(model)} t order by t.record_key, t.version`,
  )
}

/** The naive fold: the last state of each record. */
export function lastStates(made: readonly MadeChange[]): Map<string, MadeChange> {
  return new Map(made.map((change) => [change.recordKey, change]))
}
