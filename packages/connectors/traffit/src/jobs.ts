/** The stream of jobs: the listing of recruitments, one detail each, the published posts and the workflows. */
import { classify } from '@tidemark/base'
import type { Mapped, Page } from '@tidemark/connector'
import { isJson, type Json, NOTHING } from '@tidemark/connector/mapping'
import { Collector } from './collector.ts'
import { type CursorLimits, sinceFilterStart } from './cursor.ts'
import { answerInvalid } from './errors.ts'
import { idOf } from './json.ts'
import { listAll, listPages } from './listing.ts'
import { mapJob } from './mapJobs.ts'
import { STREAM_SCOPE } from './mapping.ts'
import { toPage } from './page.ts'
import { type Published, readPublished } from './published.ts'
import { type Loaded, loadWorkflows, type Run, refusalPage, refused } from './run.ts'
import type { Workflows } from './workflows.ts'

/** How old the published posts may be that a job is joined with. */
const PUBLISHED_MAX_AGE_MS = 60_000
const PUBLISHED_LIMITS: CursorLimits = { pagesMax: 1000 }

/**
 * Pages of the jobs. The listing is read whole also when only what changed is asked for: its rows are short, and a post that is published or taken back
 * need not change its recruitment. Only recruitments that changed are asked for their detail.
 */
export async function* jobPages(run: Run): AsyncGenerator<Page> {
  let workflows: Workflows | null | undefined
  let published: Published | null = null
  let loadedAtMs = Number.NEGATIVE_INFINITY
  for await (const page of listPages(run.client, { path: '/recruitments/' }, run.caller, run.limits)) {
    if (page.rows === null) {
      yield refusalPage(page.answer, STREAM_SCOPE.jobs)
      return
    }
    if (workflows === undefined) {
      const loaded = await loadWorkflows(run)
      yield* loaded.pages
      workflows = loaded.value
    }
    if (page.answer.answer.requestedAtMs - loadedAtMs > PUBLISHED_MAX_AGE_MS) {
      const loaded = await loadPublished(run)
      yield* loaded.pages
      published = loaded.value
      loadedAtMs = page.answer.answer.requestedAtMs
    }
    const { changed, unchanged } = split(run, page.rows)
    const out = new Collector()
    for (const row of unchanged) mapSafely(run, { row, detail: null, published, workflows }, out)
    yield toPage(page.answer, out.mapped(), published?.requestedAtMs)
    for (const row of changed) yield* detailPages(run, idOf(row['id']) ?? '', row, published, workflows)
  }
}

/** Rows to be asked for their detail, and the others, which include what has no id. */
function split({ sinceMs, context }: Run, rows: readonly unknown[]): { changed: Json[]; unchanged: unknown[] } {
  const fromMs = sinceMs === undefined ? null : sinceFilterStart(sinceMs, context.times)
  const changed: Json[] = []
  const unchanged: unknown[] = []
  for (const row of rows) {
    const hasId = isJson(row) && idOf(row['id']) !== null
    const updatedMs = isJson(row) ? context.times.toMs(row['updated_at']) : undefined
    if (hasId && (fromMs === null || updatedMs === undefined || updatedMs >= fromMs)) changed.push(row)
    else unchanged.push(row)
  }
  return { changed, unchanged }
}

async function* detailPages(
  run: Run,
  id: string,
  row: Json,
  published: Published | null,
  workflows: Workflows | null,
): AsyncGenerator<Page> {
  const answer = await run.client.get({ path: `/recruitments/${id}` }, run.caller)
  // It was deleted since the listing showed it.
  if (answer.kind === 'absent') {
    yield toPage(answer, NOTHING)
    return
  }
  if (answer.kind === 'refused') throw refused(answer)
  const isHidden = answer.kind === 'forbidden'
  if (!isHidden && keyOf(answer.json) !== id)
    throw answerInvalid(`GET /recruitments/${id}`, 'the answer is not the record that was asked for')
  const out = new Collector()
  // One that may only be seen in the listing is what the listing shows.
  mapSafely(run, { row, detail: isHidden ? null : answer.json, published, workflows }, out)
  yield toPage(answer, out.mapped(), published?.requestedAtMs)
}

interface Unread {
  readonly row: unknown
  readonly detail: unknown
  readonly published: Published | null
  readonly workflows: Workflows | null
}

/** Maps a job, whatever its answers hold. */
export function mapSafely({ context }: Run, { row, detail, published, workflows }: Unread, out: Collector): void {
  const [what, other] = [detail ?? row, detail === null ? null : row]
  if (!isJson(what) || (other !== null && !isJson(other))) {
    out.fail('jobs', keyOf(row), 'expected an object', what)
    return
  }
  const kept = { records: out.records.length, childLists: out.childLists.length }
  try {
    mapJob(context, { row: row as Json | null, detail: detail as Json | null, published, workflows }, out)
  } catch (error) {
    // Not foreseen by any rule; still only this record's problem. What is half mapped is taken back.
    out.records.length = kept.records
    out.childLists.length = kept.childLists
    out.fail('jobs', keyOf(what), `cannot be mapped: ${classify(error).message}`, what)
  }
}

const keyOf = (row: unknown): string | null => (isJson(row) ? idOf(row['id']) : null)

/** The published posts; null where the tenant has no public list. */
export async function loadPublished(run: Run): Promise<Loaded<Published | null>> {
  const request = { path: '/job_posts/published', isPublic: true }
  try {
    const { pages, refusal } = await listAll(run.client, request, run.caller, PUBLISHED_LIMITS)
    if (refusal) return { pages: [toPage(refusal, NOTHING)], value: null }
    const requestedAtMs = Math.min(...pages.map(({ answer }) => answer.answer.requestedAtMs))
    const value = readPublished(
      pages.flatMap(({ rows }) => rows),
      requestedAtMs,
    )
    return { pages: pages.map((page, index) => toPage(page.answer, index === 0 ? unreadPosts(value) : NOTHING)), value }
  } catch (error) {
    // A tenant that switched its career page off answers as any web site does.
    if (classify(error).code === 'PROVIDER_REFUSED') return { pages: [], value: null }
    throw error
  }
}

function unreadPosts({ unread }: Published): Mapped {
  const out = new Collector()
  for (const row of unread) out.fail('job-postings', null, 'a published post names no job', row)
  return out.mapped()
}
