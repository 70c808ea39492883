import type { Clock } from '@tidemark/base'
import type { ModelName } from '@tidemark/model'
import { qualified, tableName } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'

/** A record that a person should see by its name. `by` is remote_id for roles, which other records name so. */
export interface NameRef {
  readonly integrationId: string
  readonly model: ModelName
  readonly by: 'id' | 'remote_id'
  readonly value: string
}

/** Names of records, cached and read in batches. */
export interface Names {
  /** Reads what is not cached: one query per integration and model. */
  load(refs: readonly NameRef[]): Promise<void>
  /** The name, when one is known. */
  get(ref: NameRef): string | undefined
  /** A name learned otherwise: from a change that passes by, which may be ahead of the tables. */
  learn(ref: NameRef, name: string): void
}

export interface NamesOptions {
  readonly entriesMax: number
  /** How long a name is believed. */
  readonly ttlMs: number
}

interface Entry {
  readonly name: string
  readonly at: number
}

const fullName = "nullif(trim(concat_ws(' ', t.first_name, t.last_name)), '')"

/** SQL of a record's name, by model. */
const NAME_COLUMNS: Readonly<Partial<Record<ModelName, string>>> = {
  jobs: 't.name',
  'job-postings': 't.title',
  candidates: fullName,
  'application-stages': 't.name',
  interviews: 't.title',
  'rejection-reasons': 't.name',
  tags: 't.name',
  users: fullName,
  roles: 't.remote_label',
  'screening-questions': 't.title',
}

const keyOf = ({ integrationId, model, by, value }: NameRef): string => `${model} ${by} ${integrationId} ${value}`

export function createNames(
  store: SqlStore,
  schema: string,
  clock: Clock,
  { entriesMax, ttlMs }: NamesOptions = { entriesMax: 20_000, ttlMs: 60_000 },
): Names {
  const cache = new Map<string, Entry>()
  const put = (key: string, name: string): void => {
    cache.delete(key)
    const oldest = cache.keys().next().value
    if (cache.size >= entriesMax && oldest !== undefined) cache.delete(oldest)
    cache.set(key, { name, at: clock.now() })
  }
  const lookup = (key: string): string | undefined => {
    const entry = cache.get(key)
    return entry && clock.now() - entry.at < ttlMs ? entry.name : undefined
  }
  return {
    get: (ref) => lookup(keyOf(ref)),
    learn: (ref, name) => put(keyOf(ref), name),
    async load(refs) {
      const missing = new Map<string, NameRef>()
      for (const ref of refs) if (lookup(keyOf(ref)) === undefined) missing.set(keyOf(ref), ref)
      const groups = Map.groupBy(missing.values(), (ref) => `${ref.model} ${ref.by} ${ref.integrationId}`)
      for (const group of groups.values()) {
        for (const [value, name] of await readNames(store, schema, group)) {
          put(keyOf({ ...(group[0] as NameRef), value }), name)
        }
      }
    },
  }
}

async function readNames(store: SqlStore, schema: string, group: readonly NameRef[]): Promise<Map<string, string>> {
  const [{ model, by, integrationId }] = group as [NameRef]
  const expression = NAME_COLUMNS[model]
  if (expression === undefined) return new Map()
  const rows = await store.query<{ value: string; name: string | null }>(
    `select t.${by} as value, ${expression} as name from ${qualified(schema, tableName(model))} t
where t.integration_id = $1 and t.${by} = any($2::text[])`,
    [integrationId, group.map((ref) => ref.value)],
  )
  return new Map(rows.flatMap(({ value, name }) => (name === null ? [] : [[value, name] as const])))
}
