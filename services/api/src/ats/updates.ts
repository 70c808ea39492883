import { ident, qualified, type States, statesNow } from '@tidemark/projection'
import { allowsModel, type Scope } from '../auth.ts'
import { type Query, time } from '../params.ts'
import type { Where } from '../sql.ts'
import type { Endpoint, Link } from './endpoints.ts'

/** The past that is read: its states, and the SQL expression of its time. */
interface Past {
  readonly states: States
  readonly time: string
}

interface UpdatesOf {
  readonly schema: string
  readonly endpoint: Endpoint
  readonly query: Query
  readonly scope: Scope
}

/**
 * Adds the condition of `updated_after`, when it is given: the record itself or one that is linked to it changed since. Now, that is when
 * a state became readable, so that what arrives late is not missed; as of a time, when it was observed. `$1` is the integration. Models out of scope
 * are as if they had no records.
 */
export function updatedAfter(where: Where, { schema, endpoint, query, scope }: UpdatesOf, past?: Past): void {
  const value = time(query, 'updated_after')
  if (value === undefined) return
  const since = `${where.param(value)}::timestamptz`
  const own = past ? `t.changed_at >= ${since}` : `t.effective_changed_at >= ${since}`
  const links = endpoint.links.filter(
    ({ model, through }) => allowsModel(scope, model) && (!through || allowsModel(scope, through.model)),
  )
  const linked = links.map((link) => {
    const records = past ? changedBefore(schema, link, since, past) : changedNow(statesNow(schema), link, since)
    return `t.${ident(link.own)} in (${records})`
  })
  where.and([own, ...linked].join(' or '))
}

/** Linked records whose state became readable since. */
function changedNow(states: States, { model, select, through }: Link, since: string): string {
  const from = through ? throughFrom(states, model, through) : states.from(model, 'l')
  const changed = through ? 'x' : 'l'
  return `select l.${ident(select)} from ${from} where l.integration_id = $1 and ${changed}.effective_changed_at >= ${since}`
}

const throughFrom = (states: States, model: Link['model'], through: NonNullable<Link['through']>): string =>
  `${states.from(model, 'l')} join ${states.from(through.model, 'x')}
on x.integration_id = l.integration_id and x.${ident(through.key)} = l.${ident(through.column)}`

/** Linked records whose state at the time was observed since: found by the index of changes, as states have none by their time. */
function changedBefore(
  schema: string,
  { model, select, through }: Link,
  since: string,
  { states, time }: Past,
): string {
  const changed = through ? 'x' : 'l'
  const changedModel = through?.model ?? model
  const joined = through
    ? `join ${states.from(model, 'l')} on l.integration_id = c.integration_id and l.${ident(through.column)} = x.${ident(through.key)} and ${states.holds('l')}`
    : ''
  return `select l.${ident(select)} from ${qualified(schema, 'changes')} c
join ${states.from(changedModel, changed)} on ${changed}.record_key = c.record_key and ${changed}.version = c.version and ${states.holds(changed)}
${joined}
where c.integration_id = $1 and c.model = '${changedModel}' and c.changed_at >= ${since} and c.changed_at <= ${time}`
}
