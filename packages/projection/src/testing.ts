/** For tests of what reads changes: makes the changes that successive states of records give, encoded as on their topics. */
import { type Change, type Codec, compileRecord, frameHeader, Writer } from '@tidemark/codec'
import {
  type AvroRecord,
  changesTopic,
  type FieldChange,
  type ModelName,
  type Models,
  normalizeRecord,
  PUBLISHED_SCHEMAS,
  partitionOf,
  publicId,
  type RecordInput,
  recordKey,
  rootKey,
} from '@tidemark/model'
import { collapse } from './batch.ts'
import { fieldJsonTexts } from './json.ts'
import { migrations } from './migrations.ts'
import { replaceSql, supersededSql } from './past.ts'
import { toRows } from './rows.ts'
import { countsSql, historySql, upsertSql } from './statements.ts'

export interface MadeChange {
  readonly topic: string
  readonly partition: number
  readonly key: Buffer
  readonly value: Buffer
  readonly timestampMs: number
  readonly model: ModelName
  readonly recordKey: string
  readonly change: Change
}

export interface ChangeMaker {
  /** The change from the record's last state to this one; null purges. Fields that are not given are null. */
  make(integrationId: string, model: ModelName, remote: string, input: RecordInput | null): MadeChange
  /** Public id of a record. */
  idOf(integrationId: string, model: ModelName, remote: string): string
}

export interface ChangeMakerOptions {
  readonly partitions: number
  readonly startMs?: number
}

/** Encodes a change as on its topic. */
export function encodeChange(codec: Codec, model: ModelName, change: Change): Buffer {
  const subject = `${changesTopic(model)}-value`
  const text = PUBLISHED_SCHEMAS[subject]?.at(-1)
  if (text === undefined) throw new RangeError(`no published schema of ${subject}`)
  const writer = new Writer(1024)
  writer.raw(frameHeader(codec.schemaId(subject)), 0, 5)
  compileRecord(JSON.parse(text) as AvroRecord).write(writer, change)
  return writer.take()
}

export function createChangeMaker(codec: Codec, { partitions, startMs }: ChangeMakerOptions): ChangeMaker {
  const states = new Map<string, { version: number; record: Models[ModelName] | null }>()
  const observed = new Map<number, number>()
  let now = startMs ?? Date.parse('2026-03-01T09:00:00.000Z')
  const idOf = (integrationId: string, model: ModelName, remote: string): string =>
    publicId(recordKey(integrationId, model, remote))

  return {
    idOf,
    make(integrationId, model, remote, input) {
      const key = recordKey(integrationId, model, remote)
      const partition = partitionOf(rootKey(key), partitions)
      const known = states.get(key)
      const id = publicId(key)
      const before = known?.record ?? null
      const after = input === null ? null : normalizeRecord(model, { id, remote_id: remote, ...input }).record
      const offset = observed.get(partition) ?? 0
      observed.set(partition, offset + 1)
      now += 1000
      const version = (known?.version ?? 0) + 1
      const change: Change = {
        event_id: `${partition}-${offset}`,
        integration_id: integrationId,
        id,
        remote_id: remote,
        version,
        op: opOf(version, before, after),
        changed_at: now,
        remote_changed_at: null,
        merged_into_id: null,
        cause: causeAt(partition, offset, now),
        changes: before === null || after === null ? [] : fieldChanges(model, before, after),
        before,
        after,
      }
      states.set(key, { version, record: after })
      const value = encodeChange(codec, model, change)
      const topic = changesTopic(model)
      return { topic, partition, key: Buffer.from(key), value, timestampMs: now, model, recordKey: key, change }
    },
  }
}

type State = { readonly remote_deleted_at: number | null } | null

function opOf(version: number, before: State, after: State): string {
  if (version === 1) return 'created'
  if (after === null) return 'purged'
  const was = before === null || before.remote_deleted_at !== null
  const is = after.remote_deleted_at !== null
  return was === is ? 'updated' : is ? 'deleted' : 'restored'
}

function causeAt(partition: number, offset: number, now: number): Change['cause'] {
  return {
    kind: 'webhook',
    sync_id: null,
    event_name: 'data-changed',
    event_id: `e${offset}`,
    actor: null,
    raw: { partition: 0, offset },
    evidence: null,
    observed: { partition, offset },
    previous_seen_at: null,
    first_seen_at: now,
  }
}

/** Field by field at the first level; enough for tests of readers. */
function fieldChanges<M extends ModelName>(model: M, before: Models[M], after: Models[M]): FieldChange[] {
  const [from, to] = [new Map(fieldJsonTexts(model, before)), new Map(fieldJsonTexts(model, after))]
  const out: FieldChange[] = []
  for (const name of new Set([...from.keys(), ...to.keys()])) {
    const [a, b] = [from.get(name) ?? null, to.get(name) ?? null]
    const op = a === null ? 'add' : b === null ? 'remove' : 'replace'
    if (a !== b) out.push({ path: `/${name}`, op, before: a, after: b })
  }
  return out
}

/** What filling tables needs of a store. */
export interface Tables {
  query(sql: string, params?: readonly string[]): Promise<unknown>
  script(sql: string): Promise<void>
}

/** Creates the tables of a schema. */
export async function createTables(store: Tables, schema: string): Promise<void> {
  for (const { sql } of migrations(schema)) await store.script(sql)
}

/** Writes changes to the tables as the projector would, as of `nowMs`. */
export async function fillTables(
  store: Tables,
  schema: string,
  changes: readonly MadeChange[],
  nowMs: number,
): Promise<void> {
  const projected = changes.map((made, offset) =>
    toRows(made.model, made.change, made.recordKey, { partition: made.partition, offset }),
  )
  const batch = collapse(projected)
  const now = new Date(nowMs).toISOString()
  for (const [model, texts] of batch.replacing)
    for (const rows of texts) await store.query(replaceSql(schema, model), [rows])
  for (const [model, texts] of batch.superseded)
    for (const rows of texts) await store.query(supersededSql(schema, model), [rows])
  for (const [model, texts] of batch.rows)
    for (const rows of texts) await store.query(upsertSql(schema, model), [rows, now])
  for (const rows of batch.history) await store.query(historySql(schema), [rows])
  await store.query(countsSql(schema), [batch.counts])
}
