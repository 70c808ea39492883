/** The streams of candidates and of their tags. */
import type { Page } from '@tidemark/connector'
import { isJson, NOTHING } from '@tidemark/connector/mapping'
import { type CandidateSources, loadSources } from './candidateSources.ts'
import { idOf } from './json.ts'
import { listPages } from './listing.ts'
import { mapCandidates, mapTags, STREAM_SCOPE } from './mapping.ts'
import { toPage } from './page.ts'
import { changedSince, type Run, refusalPage, refused } from './run.ts'

/** Pages of the candidates, with their sources as far as they are known. */
export async function* candidatePages(run: Run): AsyncGenerator<Page> {
  let sources: CandidateSources | undefined
  for await (const page of changedSince(run, '/employees/', 'updated_at')) {
    if (page.rows === null) {
      yield refusalPage(page.answer, STREAM_SCOPE.candidates)
      return
    }
    sources ??= yield* loadSources(run)
    yield toPage(page.answer, mapCandidates(run.context, page.rows, sources.of), sources.requestedAtMs)
  }
}

/** Tags whose record is kept in mind as observed; one beyond that is observed with each of its candidates. */
const TAGS_MAX = 10_000

/**
 * Pages of the tags: TRAFFIT has no list of them, so every candidate is asked for its own. A tag that no candidate has cannot be seen, and does not
 * exist here.
 */
export async function* tagPages(run: Run): AsyncGenerator<Page> {
  const seen = new Set<string>()
  const isNew = (id: string): boolean => {
    if (seen.has(id)) return false
    if (seen.size < TAGS_MAX) seen.add(id)
    return true
  }
  for await (const page of changedSince(run, '/employees/', 'updated_at')) {
    if (page.rows === null) {
      yield refusalPage(page.answer, STREAM_SCOPE.tags)
      return
    }
    yield toPage(page.answer, NOTHING)
    for (const row of page.rows) {
      const id = isJson(row) ? idOf(row['id']) : null
      if (id !== null) yield* tagsOf(run, id, isNew)
    }
  }
}

async function* tagsOf(run: Run, candidateId: string, isNew: (tagId: string) => boolean): AsyncGenerator<Page> {
  const rows: unknown[] = []
  for await (const page of listPages(run.client, { path: `/employees/${candidateId}/tags` }, run.caller, run.limits)) {
    if (page.rows === null) {
      // The candidate is gone since it was listed, may not be read, or the tenant has no such route: nothing is known of its tags.
      if (page.answer.kind === 'refused') throw refused(page.answer)
      yield toPage(page.answer, { ...NOTHING, incompleteModels: ['tags'] })
      return
    }
    rows.push(...page.rows)
    yield toPage(page.answer, page.isLast ? mapTags(run.context, candidateId, rows, isNew) : NOTHING)
  }
}
