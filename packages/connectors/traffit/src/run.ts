/** What the streams share: one fetch of a stream, and the ways to begin it. */
import { TidemarkError } from '@tidemark/base'
import type { Mapped, Page } from '@tidemark/connector'
import { NOTHING } from '@tidemark/connector/mapping'
import type { Caller, GetAnswer, TraffitClient } from './client.ts'
import type { MapContext } from './collector.ts'
import { type CursorLimits, sinceFilter } from './cursor.ts'
import { type ListPage, type ListRequest, listPages, type NoListing } from './listing.ts'
import { notOfferedPage, toPage } from './page.ts'
import { readWorkflows, type Workflows } from './workflows.ts'

/** One fetch of a stream, or one point read. */
export interface Run {
  readonly client: Pick<TraffitClient, 'get'>
  readonly context: MapContext
  readonly caller: Caller
  /** Only what changed since, in ms; undefined: everything. */
  readonly sinceMs: number | undefined
  /** Only applications created at or after this time, in ms; null: all. */
  readonly createdAfterMs: number | null
  readonly limits: CursorLimits
}

/** A listing without a first page: the stream's one page when its scope is missing. Throws PROVIDER_REFUSED for any other reason. */
export function refusalPage(answer: GetAnswer, scope: string): Page {
  if (answer.kind === 'forbidden') return notOfferedPage(answer, scope)
  throw refused(answer)
}

export const refused = (answer: GetAnswer): TidemarkError =>
  new TidemarkError(
    'PROVIDER_REFUSED',
    `${answer.message} Check base_url of this source, and the version and scopes of its API client.`,
    {
      fields: { status: answer.answer.status },
    },
  )

/** The pages of a stream that is one listing. */
export async function* pagesOf(
  run: Run,
  request: ListRequest,
  scope: string,
  map: (rows: readonly unknown[]) => Mapped,
): AsyncGenerator<Page> {
  for await (const page of listPages(run.client, request, run.caller, run.limits))
    yield page.rows === null ? refusalPage(page.answer, scope) : toPage(page.answer, map(page.rows))
}

/** Rows that changed since the run's watermark; all of them where the listing does not know the filter, which costs time but misses nothing. */
export async function* changedSince(
  run: Run,
  path: string,
  field: 'created_at' | 'updated_at',
): AsyncGenerator<ListPage | NoListing> {
  const { client, caller, limits, sinceMs, context } = run
  const filter = sinceMs === undefined ? null : sinceFilter(field, sinceMs, context.times)
  for await (const page of listPages(client, { path, filter }, caller, limits)) {
    if (page.rows === null && filter !== null && page.answer.kind === 'refused') {
      yield* listPages(client, { path }, caller, limits)
      return
    }
    yield page
  }
}

/** Workflows of one tenant are few. */
const WORKFLOW_LIMITS: CursorLimits = { pagesMax: 100 }

/** An answer that is kept as a page, and what all of them say together. */
export interface Loaded<T> {
  readonly pages: readonly Page[]
  readonly value: T
}

/** The states of all workflows; null where their scope is missing. */
export async function loadWorkflows(run: Run): Promise<Loaded<Workflows | null>> {
  const rows: unknown[] = []
  const pages: Page[] = []
  for await (const page of listPages(run.client, { path: '/workflows/details' }, run.caller, WORKFLOW_LIMITS)) {
    pages.push(toPage(page.answer, NOTHING))
    if (page.rows === null) {
      if (page.answer.kind === 'forbidden') return { pages, value: null }
      throw refused(page.answer)
    }
    rows.push(...page.rows)
  }
  return { pages, value: readWorkflows(rows) }
}
