import { isoExpression, qualified } from '@tidemark/projection'
import type { ApiDeps } from './deps.ts'
import { inputInvalid } from './errors.ts'
import { type Query, time } from './params.ts'

/**
 * A time in the past as of which something is read, as ISO text; undefined when absent. Formats are those of every time parameter. Throws
 * 400 for a time that is still to come: what will have been observed by then is not known.
 */
export function asOfParameter({ clock }: ApiDeps, query: Query, name = 'as_of'): string | undefined {
  const wanted = time(query, name)
  const now = clock.now()
  if (wanted === undefined || Date.parse(wanted) <= now) return wanted
  throw inputInvalid(`${name}: ${wanted} is in the future; it is ${new Date(now).toISOString()} now.`)
}

/**
 * Throws 400 when nothing of the integration had been observed at the time: what its ATS held before is not known, and an empty answer
 * would say that it held nothing.
 */
export async function requireObserved(
  { store, schema }: ApiDeps,
  integrationId: string,
  wanted: string,
  name = 'as_of',
): Promise<void> {
  // The first entry of the index on integration and time.
  const [row] = await store.query<{ first: string | null }>(
    `select ${isoExpression('min(c.changed_at)')} as first from ${qualified(schema, 'changes')} c where c.integration_id = $1`,
    [integrationId],
  )
  const first = row?.first ?? null
  if (first === null) {
    throw inputInvalid(`${name}: nothing of ${integrationId} has been observed yet, so there is no history to read.`)
  }
  if (Date.parse(wanted) >= Date.parse(first)) return
  throw inputInvalid(
    `${name}: ${wanted} is before anything of ${integrationId} was observed. Its history begins on ${first}; give this time or a later one.`,
  )
}
