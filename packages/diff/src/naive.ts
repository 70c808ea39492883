/**
 * The diff written the obvious way, over plain objects: what the fast one is tested against. It shares no code with it but
 * the JSON text of values. Slow, clear, and for tests only.
 */
import type { Change, Observation, Snapshot } from '@tidemark/codec'
import { decodeMask } from '@tidemark/codec'
import {
  type AvroField,
  type AvroType,
  type FieldChange,
  MODEL_SCHEMAS,
  type ModelName,
  required,
} from '@tidemark/model'
import type { SourcePosition } from './eventWriter.ts'
import { jsonText } from './jsonText.ts'

type Plain = Record<string, unknown>

export interface NaiveResult {
  readonly kind: 'repeated' | 'unchanged' | 'unknown' | 'stale' | 'refreshed' | 'changed'
  readonly snapshot: Snapshot | undefined
  readonly change: Change | undefined
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Where something was observed, and when a complete run had seen the record before. */
export interface NaivePlace extends SourcePosition {
  readonly lastSeenAt?: number | null
}

export function naiveApply(
  model: ModelName,
  snapshot: Snapshot | undefined,
  observation: Observation,
  source: NaivePlace,
): NaiveResult {
  const nothing = (kind: NaiveResult['kind']): NaiveResult => ({ kind, snapshot, change: undefined })
  const kind = ['record', 'deleted', 'merged', 'anonymized'][observation.kind] as string
  const incoming = observation.record as unknown as Plain
  if (!snapshot) {
    if (kind === 'deleted' || kind === 'merged') return nothing('unknown')
    const op = kind === 'anonymized' ? 'anonymized' : incoming['remote_deleted_at'] !== null ? 'deleted' : 'created'
    return result(observation, source, op, undefined, incoming, [], null)
  }
  if (snapshot.source.partition === source.partition && source.offset <= snapshot.source.offset)
    return nothing('repeated')
  const before = snapshot.record as unknown as Plain
  if (kind === 'record' && same(before, incoming)) return nothing('unchanged')
  if (isStale(snapshot, observation)) return nothing('stale')
  const wasDeleted = before['remote_deleted_at'] !== null
  if (kind === 'deleted' && wasDeleted) return nothing('unchanged')
  const after = merged(model, before, observation, kind, wasDeleted)
  const nowDeleted = after['remote_deleted_at'] !== null
  const mergedInto = kind === 'merged' ? observation.merged_into_id : nowDeleted ? snapshot.merged_into_id : null
  const changes = naiveDiff(model, before, after)
  if (changes.length === 0 && !(kind === 'merged' && mergedInto !== snapshot.merged_into_id)) {
    if (same(before, after)) return nothing('unchanged')
    return {
      kind: 'refreshed',
      change: undefined,
      snapshot: newSnapshot(observation, source, snapshot, after, mergedInto, snapshot.version, snapshot.changed_at),
    }
  }
  const op =
    kind === 'anonymized' || kind === 'merged'
      ? kind
      : wasDeleted === nowDeleted
        ? 'updated'
        : nowDeleted
          ? 'deleted'
          : 'restored'
  return result(observation, source, op, snapshot, after, changes, mergedInto)
}

function isStale(snapshot: Snapshot, observation: Observation): boolean {
  const [was, is] = [snapshot.remote_version, observation.remote_version]
  if (was !== null && is !== null && is !== was) return is < was
  return observation.fetch_started_at < snapshot.observed_at
}

function merged(model: ModelName, before: Plain, observation: Observation, kind: string, wasDeleted: boolean): Plain {
  const names = MODEL_SCHEMAS[model].fields.map((f) => f.name)
  const delivered = decodeMask(names, observation.mask)
  const incoming = observation.record as unknown as Plain
  const after: Plain = {}
  for (const name of names) after[name] = !delivered || delivered.has(name) ? incoming[name] : before[name]
  const tombstone = !delivered || delivered.has('remote_deleted_at') ? incoming['remote_deleted_at'] : null
  if (tombstone !== null) after['remote_deleted_at'] = wasDeleted ? before['remote_deleted_at'] : tombstone
  else if (kind === 'record') after['remote_deleted_at'] = null
  else if (kind === 'anonymized' || wasDeleted) after['remote_deleted_at'] = before['remote_deleted_at']
  else after['remote_deleted_at'] = observation.observed_at
  return after
}

function previousSeenAt(was: Snapshot, { lastSeenAt = null }: NaivePlace, askedAt: number): number {
  if (lastSeenAt === null || lastSeenAt > askedAt) return was.observed_at
  return Math.max(was.observed_at, lastSeenAt)
}

function newSnapshot(
  o: Observation,
  { partition, offset }: NaivePlace,
  was: Snapshot | undefined,
  record: Plain,
  mergedInto: string | null,
  version: number,
  changedAt: number,
): Snapshot {
  const versions = [was?.remote_version ?? null, o.remote_version].filter((v) => v !== null)
  return {
    integration_id: o.integration_id,
    version,
    parent_key: o.parent_key,
    remote_version: versions.length === 0 ? null : Math.max(...versions),
    observed_at: o.observed_at,
    changed_at: changedAt,
    merged_into_id: mergedInto,
    source: { partition, offset },
    record: record as never,
  }
}

function result(
  o: Observation,
  source: NaivePlace,
  op: string,
  was: Snapshot | undefined,
  after: Plain,
  changes: FieldChange[],
  mergedInto: string | null,
): NaiveResult {
  const version = (was?.version ?? 0) + 1
  const change: Change = {
    event_id: `${source.partition}-${source.offset}`,
    integration_id: o.integration_id,
    id: after['id'] as string,
    remote_id: (after['remote_id'] as string | null) ?? null,
    version,
    op,
    changed_at: o.observed_at,
    remote_changed_at: o.remote_version,
    merged_into_id: mergedInto,
    cause: {
      ...o.cause,
      observed: { partition: source.partition, offset: source.offset },
      previous_seen_at: was ? previousSeenAt(was, source, o.fetch_started_at) : null,
      first_seen_at: o.observed_at,
    },
    changes,
    before: (was?.record ?? null) as never,
    after: after as never,
  }
  return { kind: 'changed', change, snapshot: newSnapshot(o, source, was, after, mergedInto, version, o.observed_at) }
}

/** Leaf text, or a node with named members; collections became nodes named by key, element or index. */
type Tree = string | { readonly [name: string]: Tree } | null

/** Turns two values of one field into trees, so that comparing them needs no knowledge of collections. */
function trees(field: AvroField, type: AvroType, a: unknown, b: unknown): [Tree, Tree] {
  const t = required(type)
  const leaf = (v: unknown): Tree => (v === null ? null : jsonText(field, type, v))
  if (typeof t === 'string' || t.type === 'long' || a === null || b === null) return [leaf(a), leaf(b)]
  const nodes: [Record<string, Tree>, Record<string, Tree>] = [{}, {}]
  for (const [name, f, ft, x, y] of members(field, t, a, b)) {
    const [p, q] = trees(f, ft, x, y)
    const key = `k${name}`
    if (p !== null) nodes[0][key] = p
    if (q !== null) nodes[1][key] = q
  }
  return nodes
}

function* members(
  field: AvroField,
  t: Exclude<AvroType, string | readonly unknown[]>,
  a: unknown,
  b: unknown,
): Generator<[string, AvroField, AvroType, unknown, unknown]> {
  if ('fields' in t) {
    for (const f of t.fields) yield [f.name, f, f.type, (a as Plain)[f.name] ?? null, (b as Plain)[f.name] ?? null]
  } else if ('values' in t) {
    const [x, y] = [a as Plain, b as Plain]
    for (const key of new Set([...Object.keys(x), ...Object.keys(y)]))
      yield [key, field, t.values, x[key] ?? null, y[key] ?? null]
  } else if ('items' in t) {
    const item: AvroField = { name: 'item', type: t.items }
    const [x, y] = [named(field, a as unknown[], b as unknown[]), named(field, b as unknown[], a as unknown[])]
    for (const key of new Set([...x.keys(), ...y.keys()]))
      yield [key, item, t.items, x.get(key) ?? null, y.get(key) ?? null]
  }
}

function named(field: AvroField, list: unknown[], other: unknown[]): Map<string, unknown> {
  if (field.collection === 'set') return new Map(list.map((v) => [String(v), v]))
  const keysOf = (items: unknown[]): unknown[] => items.map((v) => (v as Plain)[field.key as string] ?? null)
  const unique = (keys: unknown[]): boolean => !keys.includes(null) && new Set(keys).size === keys.length
  const keyed = field.collection === 'keyed' && unique(keysOf(list)) && unique(keysOf(other))
  return new Map(list.map((v, i) => [keyed ? String((v as Plain)[field.key as string]) : String(i), v]))
}

function compare(
  a: Tree,
  b: Tree,
  path: string,
  out: FieldChange[],
  text: (side: 0 | 1, path: string) => string,
): void {
  if (a === null && b === null) return
  if (a === null || b === null || typeof a === 'string' || typeof b === 'string') {
    if (a !== b)
      out.push({
        path,
        op: a === null ? 'add' : b === null ? 'remove' : 'replace',
        before: a === null ? null : text(0, path),
        after: b === null ? null : text(1, path),
      })
    return
  }
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const token = key.slice(1).replaceAll('~', '~0').replaceAll('/', '~1')
    compare(a[key] ?? null, b[key] ?? null, `${path}/${token}`, out, text)
  }
}

/** Field changes of the fields that are compared; texts of leaves only where a side is a leaf. */
export function naiveDiff(model: ModelName, before: Plain, after: Plain): FieldChange[] {
  const out: FieldChange[] = []
  for (const field of MODEL_SCHEMAS[model].fields) {
    if (field.diff === 'ignore') continue
    const [a, b] = trees(field, field.type, before[field.name] ?? null, after[field.name] ?? null)
    const found: FieldChange[] = []
    compare(a, b, `/${field.name}`, found, (side, path) => leafText(side === 0 ? a : b, path.split('/').slice(2)))
    out.push(...found)
  }
  return out
}

function leafText(tree: Tree, tokens: string[]): string {
  const [token, ...rest] = tokens
  if (token === undefined || tree === null || typeof tree === 'string') return typeof tree === 'string' ? tree : '?'
  return leafText(tree[`k${token.replaceAll('~1', '/').replaceAll('~0', '~')}`] ?? null, rest)
}

/** What a child sweep's control record says, as far as the diff needs it. */
export interface NaiveSweep {
  readonly model: string
  readonly integration_id: string
  readonly parent_key: string | null
  readonly children: readonly string[]
  readonly fetch_started_at: number
  readonly observed_at: number
  readonly pages: number | null
  readonly cause: Observation['cause']
}

/** A deletion of one child that the list does not name. */
export function naiveSweepChild(
  model: ModelName,
  snapshot: Snapshot,
  sweep: NaiveSweep,
  source: NaivePlace,
): NaiveResult {
  const detail = `not in the complete list of ${sweep.model} of ${sweep.parent_key}`
  return naiveRemove(model, snapshot, sweep, { detail, records: sweep.children.length }, source)
}

/** Ends a record that a complete list does not have, with that list as evidence. */
export function naiveRemove(
  model: ModelName,
  snapshot: Snapshot,
  sweep: NaiveSweep,
  list: { readonly detail: string; readonly records: number | null },
  source: NaivePlace,
): NaiveResult {
  const evidence = { kind: 'absence', detail: list.detail, pages: sweep.pages, records: list.records }
  const deletion: Observation = {
    integration_id: sweep.integration_id,
    kind: 1,
    parent_key: snapshot.parent_key,
    remote_version: null,
    fetch_started_at: sweep.fetch_started_at,
    observed_at: sweep.observed_at,
    merged_into_id: null,
    cause: { ...sweep.cause, evidence },
    mask: new Uint8Array(0),
    record: { remote_deleted_at: null } as never,
  }
  const result = naiveApply(model, snapshot, deletion, source)
  if (!result.change) return result
  return { ...result, change: { ...result.change, event_id: `${result.change.event_id}-${result.change.id}` } }
}
