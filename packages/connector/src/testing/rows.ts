/** Rows as providers should not send them. For tests only. */
import { TidemarkError } from '@tidemark/base'
import type { Mapped, WebhookEffect, WebhookRequest } from '../connector.ts'
import { isJson } from '../mapping.ts'
import type { Rig } from './rig.ts'

/** No records, whatever the provider. */
export const ODD_ROWS: readonly unknown[] = [null, 17, 'text', true, [], {}]

/** What may stand where something else is expected; names that every object has are none of a table's words. */
export const ODD_VALUES: readonly unknown[] = [
  null,
  17.5,
  -1,
  'text',
  '',
  true,
  [],
  [null],
  {},
  { id: [] },
  'constructor',
  '__proto__',
]

export type Path = readonly (string | number)[]

/** Places of the members within a value: those of objects and lists, at most `depth` deep. */
export function pathsIn(value: unknown, depth: number): Path[] {
  if (depth === 0 || typeof value !== 'object' || value === null) return []
  const members = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return members.flatMap(([name, member]): Path[] => [
    [name],
    ...pathsIn(member, depth - 1).map((path) => [name, ...path]),
  ])
}

/** A copy with another value at a place; undefined: without that member. */
export function withValue(of: unknown, [name, ...rest]: Path, value: unknown): unknown {
  if (name === undefined) return value
  const member = withValue((of as Record<string | number, unknown>)[name], rest, value)
  if (Array.isArray(of)) return of.flatMap((item, at) => (at !== name ? [item] : member === undefined ? [] : [member]))
  const { [name]: _before, ...others } = of as Record<string | number, unknown>
  return member === undefined ? others : { ...others, [name]: member }
}

/** A copy in which every text or number that is `before` is `after`. */
export function replaced(of: unknown, before: unknown, after: unknown): unknown {
  if (of === before) return after
  if (Array.isArray(of)) return of.map((item) => replaced(item, before, after))
  if (!isJson(of)) return of
  return Object.fromEntries(Object.entries(of).map(([name, member]) => [name, replaced(member, before, after)]))
}

/** What rows of the stand-in's stream map to, in whichever way the provider delivers them. Throws what the source throws. */
export async function rowsMapped(rig: Rig, rows: readonly unknown[]): Promise<Mapped> {
  const { standIn, source } = rig
  if (rig.kind === 'push') {
    const { integrationId, stream } = standIn
    const webhooks = rows.map((row) => standIn.recordWebhook?.(integrationId, stream, row) as WebhookRequest)
    return joined(webhooks.flatMap((webhook) => effectsOf(() => source.readWebhook(webhook).effects)))
  }
  if (!standIn.serve) throw new RangeError('the stand-in needs serve(rows)')
  standIn.serve(rows)
  const { all: pages, error } = await rig.fetch()
  if (error !== undefined) throw error
  return joined(pages.map(({ mapped }) => mapped))
}

/** A webhook that means nothing says so: that is its failure. */
function effectsOf(read: () => readonly WebhookEffect[]): Mapped[] {
  try {
    return read().flatMap((effect) => (effect.kind === 'records' ? [effect.mapped] : []))
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.code !== 'WEBHOOK_UNMAPPABLE') throw error
    return [{ records: [], childLists: [], failures: [{ error, model: null, remoteKey: null, json: 'null' }] }]
  }
}

const joined = (all: readonly Mapped[]): Mapped => ({
  records: all.flatMap(({ records }) => records),
  childLists: all.flatMap(({ childLists }) => childLists),
  failures: all.flatMap(({ failures }) => failures),
})
