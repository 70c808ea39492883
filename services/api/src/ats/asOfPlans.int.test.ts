import { recordKey } from '@tidemark/model'
import { pastName, tableName } from '@tidemark/projection'
import type { SqlStore, SqlValue } from '@tidemark/store'
import { ManualClock } from '@tidemark/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWorld, SCHEMA, type Served, type World, withMethods } from '../testing/harness.ts'

/** Records of each of two integrations, with two superseded versions each. */
const RECORDS = 10_000
const BIG = 'kombo:big'
const headers = { 'x-integration-id': BIG }
const NOW = Date.parse('2026-06-01T12:00:00.000Z')
/** Before, between and after the versions of every record. */
const TIMES = ['2026-01-01T12:00:00Z', '2026-02-01T12:00:00Z', '2026-03-01T12:00:00Z']

let world: World
let api: Served
/** Statements that read a whole table of many rows, with the request that made them. */
let scans: string[]
beforeAll(async () => {
  world = await openWorld()
  for (const integration of [BIG, 'kombo:other']) await fill(world.store, integration)
  await world.store.script('analyze')
  const query: SqlStore['query'] = async (sql, params) => {
    scans.push(...(await scansOf(sql, params ?? [])))
    return world.store.query(sql, params)
  }
  api = await world.serve({ store: withMethods(world.store, { query }), clock: new ManualClock(NOW) })
}, 120_000)
afterAll(() => world.close())

/** Three versions of every record, a month apart, as the projector leaves them. */
async function fill(store: SqlStore, integration: string): Promise<void> {
  const key = recordKey(integration, 'candidates', '')
  const head = `'${key}' || n, '${integration}', 'c' || n, 'r' || n`
  const columns = 'record_key, integration_id, id, remote_id, version, op, changed_at, log_partition, log_offset'
  const month = (version: string): string =>
    `timestamptz '2026-01-01T00:00:00Z' + make_interval(months => ${version} - 1) + n * interval '1 second'`
  const numbers = `generate_series(1, ${RECORDS}) n`
  await store.script(`
insert into ${SCHEMA}.candidates (${columns}, effective_changed_at, first_name)
select ${head}, 3, 'updated', ${month('3')}, 0, n, now(), 'Frodo ' || n from ${numbers};
insert into ${SCHEMA}.${pastName('candidates')} (${columns}, superseded_at, first_name)
select ${head}, v, 'updated', ${month('v')}, 0, n, ${month('v + 1')}, 'Frodo' from ${numbers}, generate_series(1, 2) v;
insert into ${SCHEMA}.changes (record_key, version, event_id, integration_id, model, id, op, changed_at, fields, changes, cause, log_partition, log_offset)
select '${key}' || n, v, v || '-' || n, '${integration}', 'candidates', 'c' || n, 'updated', ${month('v')}, '{first_name}', '[]', '{}', 0, n
from ${numbers}, generate_series(1, 3) v;
insert into ${SCHEMA}.record_counts values ('${integration}', 'candidates', 0, ${RECORDS}, 0, ${3 * RECORDS}, now());`)
  for (const [child, parent] of [
    ['applications', 'candidate_id'],
    ['candidate-tags', 'candidate_id'],
  ] as const) {
    const own = recordKey(integration, child, '')
    const values = `'${own}' || n, '${integration}', '${child}' || n`
    const some = 'record_key, integration_id, id, version, op, changed_at, log_partition, log_offset'
    await store.script(`
insert into ${SCHEMA}.${tableName(child)} (${some}, effective_changed_at, ${parent})
select ${values}, 3, 'updated', ${month('3')}, 0, n, now(), 'c' || n from ${numbers};
insert into ${SCHEMA}.${pastName(child)} (${some}, superseded_at, ${parent})
select ${values}, v, 'updated', ${month('v')}, 0, n, ${month('v + 1')}, 'c' || n from ${numbers}, generate_series(1, 2) v;`)
  }
}

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly Plans?: readonly Plan[]
}

const LARGE: ReadonlySet<string> = new Set([
  'changes',
  ...(['candidates', 'applications', 'candidate-tags'] as const).flatMap((model) => [
    tableName(model),
    pastName(model),
  ]),
])

/** Large tables that PostgreSQL would read from end to end. */
async function scansOf(sql: string, params: readonly SqlValue[]): Promise<string[]> {
  const [row] = await world.store.query(`explain (format json) ${sql}`, params)
  const plans = (row?.['QUERY PLAN'] ?? []) as readonly { readonly Plan: Plan }[]
  expect(plans).toHaveLength(1)
  const nodes = (node: Plan): Plan[] => [node, ...(node.Plans ?? []).flatMap(nodes)]
  return plans
    .flatMap(({ Plan: plan }) => nodes(plan))
    .filter((node) => node['Node Type'] === 'Seq Scan' && LARGE.has(node['Relation Name'] ?? ''))
    .map((node) => `${node['Relation Name']}: ${sql}`)
}

async function resultsOf(path: string): Promise<{ first_name: string; applications?: unknown[] }[]> {
  scans = []
  const { status, body } = await api.get(path, headers)
  expect([path, status]).toEqual([path, 200])
  return body.data.results
}

describe('a listing as of a time reads no table from end to end', () => {
  test.each(TIMES)('page by page, with what is nested in the records, as of %s', async (as_of) => {
    const rows = await resultsOf(`/v1/ats/candidates?page_size=250&as_of=${as_of}`)
    expect(scans).toEqual([])
    expect(rows).toHaveLength(250)
    expect(rows[0]?.applications).toHaveLength(1)
  })

  test.each(TIMES)('with filters, as of %s', async (as_of) => {
    for (const [path, found] of [
      ['candidates?ids=c17,c18', 2],
      ['candidates?remote_ids=r17,r9999', 2],
      ['applications?ids=applications17', 1],
      ['candidates?first_name=nobody', 0],
    ] as const) {
      expect(await resultsOf(`/v1/ats/${path}&as_of=${as_of}`)).toHaveLength(found)
      expect(scans).toEqual([])
    }
  })

  test('with what was updated since, also in linked records', async () => {
    const since = '2026-02-01T00:00:00Z'
    const rows = await resultsOf(`/v1/ats/candidates?page_size=250&updated_after=${since}&as_of=2026-02-01T00:10:00Z`)
    expect(rows).toHaveLength(250)
    expect(scans).toEqual([])
  })
})

test('what changed between two times is found by index too', async () => {
  const rows = await resultsOf('/v1/diff?from=2026-02-01T00:10:00Z&to=2026-02-01T00:15:00Z&page_size=50')
  expect(rows).toHaveLength(50)
  expect(scans).toEqual([])
})
