import { registerApi } from '@tidemark/api'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import fastify, { type FastifyInstance } from 'fastify'
import type { Copy } from './copies.ts'
import { iso } from './history.ts'
import type { Stage } from './stage.ts'
import { isDeleted, partsOf, type TableRow } from './tables.ts'
import { STREAMS, type StreamName } from './traits.ts'

/** Copies that are compared: spread over the whole run. */
const COPIES_MAX = 12

/** Few to a page: listings of the past are read over several. */
const PAGE = 20

/** What the listings show as they are in the tables. */
const SHOWN: Readonly<Record<StreamName, readonly string[]>> = {
  jobs: ['name', 'status', 'category'],
  candidates: ['first_name', 'last_name', 'company', 'title'],
  applications: ['rejection_reason_name', 'candidate_id'],
  tags: ['name'],
}

/** Compares copies with what `GET /v1/ats/…?as_of=` answers; returns the differences. */
export async function compareWithApi(
  stage: Stage,
  copies: readonly Copy[],
  integrations: readonly string[],
): Promise<string[]> {
  const app = fastify()
  const { log, store, codec, clock, schema } = stage
  const nothing = { integrations: () => [], services: () => ({}), notReady: () => [], queuedSync: () => null }
  registerApi(app, {
    ...{ log, store, codec, clock, logger: silentLogger, metrics: createMetrics(), schema, apiKeys: [] },
    ...{ newId: () => 'unused', status: { ...nothing, syncRuns: () => [] }, options: { rateLimit: false } },
  })
  const step = Math.max(1, Math.floor(copies.length / COPIES_MAX))
  const some = copies.filter((_, i) => i % step === 0)
  try {
    const problems: string[] = []
    for (const copy of some)
      for (const integration of integrations)
        for (const stream of STREAMS) problems.push(...(await compareListing(app, copy, integration, stream)))
    return problems
  } finally {
    await app.close()
  }
}

async function compareListing(
  app: FastifyInstance,
  { atMs, tables }: Copy,
  integration: string,
  stream: StreamName,
): Promise<string[]> {
  const rows = [...tables]
    .filter(([key]) => partsOf(key).integrationId === integration)
    .map(([key, text]) => ({ model: partsOf(key).model, row: JSON.parse(text) as TableRow }))
  // Before anything was observed there is no past to ask for.
  if (rows.length === 0) return []
  const tags = tagsOf(rows)
  const expected = rows.filter(({ model }) => model === stream).map(({ row }) => expectedOf(stream, row, tags))
  const url = `/v1/ats/${stream}?as_of=${iso(atMs)}&include_deleted=true&page_size=${PAGE}`
  const results = await readPages(app, url, integration)
  if (typeof results === 'string') return [results]
  const shown = results.map((result) => shownOf(stream, result))
  const [wanted, got] = [expected.sort(), shown.sort()]
  const index = wanted.findIndex((one, i) => one !== got[i])
  if (index < 0 && wanted.length === got.length) return []
  return [
    `${url} of ${integration}: ${got.length} rows instead of ${wanted.length}, ${got[index]} for ${wanted[index]}`,
  ]
}

/** The results of all pages, or what an answer without results said. */
async function readPages(app: FastifyInstance, url: string, integration: string): Promise<TableRow[] | string> {
  const results: TableRow[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page = cursor === '' ? url : `${url}&cursor=${encodeURIComponent(cursor)}`
    const response = await app.inject({ method: 'GET', url: page, headers: { 'x-integration-id': integration } })
    const { data } = response.json() as { data?: { results: TableRow[]; next: string | null } }
    if (data === undefined) return `${page} answered ${response.statusCode}: ${response.body}`
    results.push(...data.results)
    cursor = data.next
  }
  return results
}

interface Known {
  readonly model: string
  readonly row: TableRow
}

/** A row as it should be shown, as text. */
function expectedOf(stream: StreamName, row: TableRow, tags: ReadonlyMap<unknown, readonly string[]>): string {
  const fields = SHOWN[stream].map((name) => row[name])
  return JSON.stringify([row['id'], timeOf(row), fields, stream === 'candidates' ? (tags.get(row['id']) ?? []) : []])
}

function shownOf(stream: StreamName, result: TableRow): string {
  const fields = SHOWN[stream].map((name) => result[name])
  const tags = stream === 'candidates' ? (result['tags'] as { id: string }[]).map(({ id }) => id).sort() : []
  return JSON.stringify([result['id'], timeOf(result), fields, tags])
}

const timeOf = ({ remote_deleted_at: at }: TableRow): number | null => (at === null ? null : Date.parse(String(at)))

/** Ids of the tags that candidates have, and that are there, by candidate. */
function tagsOf(all: readonly Known[]): Map<unknown, string[]> {
  const alive = all.filter(({ row }) => !isDeleted(row))
  const known = new Set(alive.filter(({ model }) => model === 'tags').map(({ row }) => row['id']))
  const joins = alive.filter(({ model, row }) => model === 'candidate-tags' && known.has(row['tag_id']))
  const byCandidate = Map.groupBy(joins, ({ row }) => row['candidate_id'])
  return new Map([...byCandidate].map(([id, of]) => [id, of.map(({ row }) => String(row['tag_id'])).sort()]))
}
