/** Where candidates came from. Their own rows do not say it; `/sources` does, with one row for each time that a candidate came. */
import { classify } from '@tidemark/base'
import type { Page } from '@tidemark/connector'
import { isJson, NOTHING } from '@tidemark/connector/mapping'
import type { GetAnswer } from './client.ts'
import { type CursorLimits, PageFollower, pageInfo } from './cursor.ts'
import { idOf, refId, textOf } from './json.ts'
import { listAll } from './listing.ts'
import type { SourceOf } from './mapping.ts'
import { toPage } from './page.ts'
import type { Loaded, Run } from './run.ts'

/** Pages that are left out of one reading: single pages of this listing can fail while the next ones work. */
const SKIPPED_MAX = 20
/** Newest pages that are read when only what changed is asked for. */
const RECENT_PAGES = 3
const DICTIONARY_LIMITS: CursorLimits = { pagesMax: 1000 }

interface Arrival {
  readonly sourceId: number
  readonly itemId: string | null
  readonly label: string | null
}

/** What is known of the candidates' sources, and when the first request for it was sent. */
export interface CandidateSources {
  readonly of: SourceOf
  readonly requestedAtMs: number
}

/** Nothing is known: the scope is missing, or the listing could not be read. */
const UNKNOWN: CandidateSources = { of: () => undefined, requestedAtMs: Number.POSITIVE_INFINITY }

/**
 * Reads the sources: all of them for a complete run, else the newest few hundred, which hold those of the candidates that are new. Candidates without a
 * source in a complete reading have none (null); in any other one nothing is known of them.
 */
export async function* loadSources(run: Run): AsyncGenerator<Page, CandidateSources> {
  const newest = new Map<string, Arrival>()
  const isFull = run.sinceMs === undefined
  let requestedAtMs = Number.POSITIVE_INFINITY
  let isComplete = isFull
  for await (const answer of isFull ? allPages(run) : recentPages(run)) {
    if (answer === null) isComplete = false
    else {
      requestedAtMs = Math.min(requestedAtMs, answer.answer.requestedAtMs)
      yield toPage(answer, NOTHING)
      if (answer.kind !== 'ok' || !Array.isArray(answer.json)) return UNKNOWN
      for (const row of answer.json) note(newest, row)
    }
  }
  const labels = await loadLabels(run, newest)
  yield* labels.pages
  const of: SourceOf = (candidateId) => {
    const arrival = newest.get(candidateId)
    if (arrival === undefined) return isComplete ? null : undefined
    return arrival.label ?? labels.value.get(arrival.itemId ?? '')
  }
  return { of, requestedAtMs }
}

function note(newest: Map<string, Arrival>, row: unknown): void {
  if (!isJson(row)) return
  const candidateId = refId(row['employee'])
  const sourceId = Number(idOf(row['id']) ?? Number.NaN)
  const item = isJson(row['dictionary_item']) ? row['dictionary_item'] : {}
  if (candidateId === null || Number.isNaN(sourceId)) return
  if ((newest.get(candidateId)?.sourceId ?? -1) > sourceId) return
  newest.set(candidateId, { sourceId, itemId: idOf(item['id']), label: textOf(item['value']) })
}

/** Every page; null for one that keeps failing. */
async function* allPages(run: Run): AsyncGenerator<GetAnswer | null> {
  const guard = new PageFollower(run.limits)
  let skipped = 0
  let totalPages: number | null = null
  for (let number = 1; ; number++) {
    try {
      const answer = await run.client.get({ path: '/sources', page: { number } }, run.caller)
      const info = pageInfo(answer.answer)
      totalPages = info.totalPages
      const rows = answer.kind === 'ok' && Array.isArray(answer.json) ? answer.json : []
      // Pages that were left out count for the guard as well.
      const advance = guard.advance('GET /sources', rows, { ...info, totalPages: null })
      if (advance !== 'repeated') yield answer
      if (advance === 'repeated' || (totalPages === null ? advance === 'end' : number >= totalPages)) return
    } catch (error) {
      run.caller.signal.throwIfAborted()
      if (classify(error).code !== 'PROVIDER_UNAVAILABLE' || ++skipped > SKIPPED_MAX) throw error
      yield null
      // Without a first page it is not known how many there are.
      if (totalPages === null || number >= totalPages) return
    }
  }
}

/** The newest pages; nothing where the listing does not come newest first, because then its newest rows are elsewhere. */
async function* recentPages(run: Run): AsyncGenerator<GetAnswer> {
  for (let number = 1; number <= RECENT_PAGES; number++) {
    const answer = await run.client.get({ path: '/sources', page: { number, direction: 'DESC' } }, run.caller)
    const rows = Array.isArray(answer.json) ? answer.json : []
    const ids = rows.map((row) => Number(isJson(row) ? (idOf(row['id']) ?? Number.NaN) : Number.NaN))
    if (answer.kind === 'ok' && ids.some((id, index) => index > 0 && !(id < (ids[index - 1] as number)))) return
    yield answer
    if (rows.length === 0 || (pageInfo(answer.answer).totalPages ?? number + 1) <= number) return
  }
}

/** Labels of the dictionary items that the rows themselves do not name. */
async function loadLabels(
  run: Run,
  newest: ReadonlyMap<string, Arrival>,
): Promise<Loaded<ReadonlyMap<string, string>>> {
  const isNeeded = [...newest.values()].some(({ label, itemId }) => label === null && itemId !== null)
  if (!isNeeded) return { pages: [], value: new Map() }
  const { pages } = await listAll(run.client, { path: '/dictionaries' }, run.caller, DICTIONARY_LIMITS)
  const value = labelsOf(pages.flatMap(({ rows }) => rows))
  return { pages: pages.map(({ answer }) => toPage(answer, NOTHING)), value }
}

/** Labels by item id: rows are items `{id, value}`, or dictionaries that hold lists of them (both inferred). */
export function labelsOf(rows: readonly unknown[]): ReadonlyMap<string, string> {
  const labels = new Map<string, string>()
  for (const row of rows) {
    if (!isJson(row)) continue
    const items = Object.values(row).flatMap((member) => (Array.isArray(member) ? member : []))
    for (const item of items.length === 0 ? [row] : items) {
      const [id, label] = isJson(item) ? [idOf(item['id']), textOf(item['value'])] : [null, null]
      if (id !== null && label !== null) labels.set(id, label)
    }
  }
  return labels
}
