/** The stream of applications: the history of all candidates in all jobs, of which the current stays count. */
import { TidemarkError } from '@tidemark/base'
import type { Page } from '@tidemark/connector'
import { isJson, type Json, NOTHING } from '@tidemark/connector/mapping'
import { Collector, mapEach } from './collector.ts'
import { sinceFilterStart } from './cursor.ts'
import { refId } from './json.ts'
import { type ListPage, listPages } from './listing.ts'
import { addApplication, applicationKey, beganAt, createdAt, isCurrent, type Pair, pairOf } from './mapApplications.ts'
import { STREAM_SCOPE } from './mapping.ts'
import { toPage } from './page.ts'
import { changedSince, loadWorkflows, type Run, refusalPage, refused } from './run.ts'
import type { Workflows } from './workflows.ts'

const HISTORY = '/employees/recruitment_history'
/** Applications of one run that are kept in mind. */
const PAIRS_MAX = 4_000_000

/**
 * Pages of the applications. A stay without an end is the application's current one and is mapped where it is listed; rows come in the order of
 * their ids, so that its earlier stays are behind. Applications all of whose stays have ended are asked for one by one at the end, because a history can
 * survive the application.
 */
export async function* applicationPages(run: Run): AsyncGenerator<Page> {
  let workflows: Workflows | null | undefined
  let tracker: Tracker | undefined
  // The first stay of an application tells when it was created, so that they all have to be read.
  const pages = run.createdAfterMs === null ? changedSince(run, HISTORY, 'created_at') : wholeHistory(run)
  for await (const page of pages) {
    if (page.rows === null) {
      yield refusalPage(page.answer, STREAM_SCOPE.applications)
      return
    }
    if (workflows === undefined) {
      const loaded = await loadWorkflows(run)
      yield* loaded.pages
      workflows = loaded.value
    }
    tracker ??= new Tracker(run, workflows)
    yield tracker.page(page)
  }
  if (tracker && workflows !== undefined) yield* ended(run, tracker.ended(), workflows)
}

const wholeHistory = (run: Run): ReturnType<typeof listPages> =>
  listPages(run.client, { path: HISTORY }, run.caller, run.limits)

interface Ended extends Pair {
  readonly beganAtMs: number
  readonly row: Json
}

/** Keeps in mind which applications were seen, and how. */
class Tracker {
  readonly #run: Run
  readonly #workflows: Workflows | null
  /** When the current stay began that was mapped. */
  readonly #current = new Map<string, number>()
  /** The newest stay of those without a current one. */
  readonly #ended = new Map<string, Ended>()
  /** Created before the time from which on they count. */
  readonly #excluded = new Set<string>()

  constructor(run: Run, workflows: Workflows | null) {
    this.#run = run
    this.#workflows = workflows
  }

  page({ answer, rows }: ListPage): Page {
    const out = new Collector()
    mapEach(out, 'applications', rows, (row) => this.#row(row, out))
    if (this.#current.size + this.#ended.size + this.#excluded.size > PAIRS_MAX)
      throw new TidemarkError(
        'PROVIDER_ANSWER_INVALID',
        `GET ${HISTORY}: the history is of more than ${PAIRS_MAX} applications, which one run cannot keep apart. Report it to whoever maintains this connector.`,
      )
    return toPage(answer, out.mapped())
  }

  /** Applications without a current stay. */
  ended(): readonly Ended[] {
    return [...this.#ended.values()].filter(({ row }) => this.#isRecent(row))
  }

  #row(row: Json, out: Collector): void {
    const pair = pairOf(row)
    if (pair === null) {
      out.fail('applications', null, 'a row of the history names no candidate or no job', row)
      return
    }
    const key = applicationKey(pair)
    if (this.#isExcluded(key, row)) return
    const { times } = this.#run.context
    const beganAtMs = beganAt(row, times)
    if (isCurrent(row)) {
      if ((this.#current.get(key) ?? 0) > beganAtMs) return
      this.#current.set(key, beganAtMs)
      this.#ended.delete(key)
      if (!this.#isRecent(row)) return
      addApplication(this.#run.context, pair, row['workflow_state'], this.#workflows, { [HISTORY]: row }, out)
    } else if (!this.#current.has(key) && (this.#ended.get(key)?.beganAtMs ?? 0) <= beganAtMs) {
      this.#ended.set(key, { ...pair, beganAtMs, row })
    }
  }

  /** The first row of an application in the history is its first stay. */
  #isExcluded(key: string, row: Json): boolean {
    const { createdAfterMs, context } = this.#run
    if (createdAfterMs === null || this.#current.has(key) || this.#ended.has(key)) return false
    if (this.#excluded.has(key)) return true
    if ((createdAt(row, context.times) ?? 0) >= createdAfterMs) return false
    this.#excluded.add(key)
    return true
  }

  /** False for a row that is only read for the sake of others. */
  #isRecent(row: Json): boolean {
    const { sinceMs, context } = this.#run
    if (sinceMs === undefined) return true
    const { times } = context
    const changedMs = Math.max(
      times.toMs(row['created_at']) ?? 0,
      times.toMs(row['updated_at']) ?? 0,
      beganAt(row, times),
    )
    return changedMs === 0 || changedMs >= sinceFilterStart(sinceMs, times)
  }
}

/** Asks which of these applications still exist: one request for each candidate. Of one who may not be read nothing is known, and the run goes on. */
async function* ended(run: Run, pairs: readonly Ended[], workflows: Workflows | null): AsyncGenerator<Page> {
  const byCandidate = Map.groupBy(pairs, ({ employeeId }) => employeeId)
  for (const [employeeId, candidates] of byCandidate) {
    for await (const { page, stateOf } of jobsOfCandidate(run, employeeId)) {
      if (page.kind === 'forbidden') {
        yield toPage(page, { ...NOTHING, incompleteModels: ['applications'] })
        continue
      }
      const out = new Collector()
      for (const { row, ...pair } of candidates) {
        const state = stateOf?.(pair.recruitmentId)
        if (state !== undefined)
          addApplication(run.context, pair, { ...stayState(row, state), ...state }, workflows, { [HISTORY]: row }, out)
      }
      yield toPage(page, out.mapped())
    }
  }
}

/** What the history says of the state, where it is the same one. */
const stayState = (row: Json, state: Json): Json =>
  isJson(row['workflow_state']) && refId(row['workflow_state']) === refId(state) ? row['workflow_state'] : {}

/** `stateOf` gives the state of a candidate in a job, undefined where the candidate is not in it; it stands with the last page only, else null. */
export interface JobsOfCandidate {
  /** `absent`: the candidate does not exist; `forbidden`: nothing is known. */
  readonly page: ListPage['answer']
  readonly stateOf: ((recruitmentId: string) => Json | undefined) | null
  /** Rows by job. */
  readonly rows: ReadonlyMap<string, Json>
}

/** The jobs that a candidate is in. */
export async function* jobsOfCandidate(run: Run, employeeId: string): AsyncGenerator<JobsOfCandidate> {
  const rows = new Map<string, Json>()
  const path = `/employees/${employeeId}/recruitments`
  for await (const page of listPages(run.client, { path }, run.caller, run.limits)) {
    const { kind } = page.answer
    if (kind === 'refused') throw refused(page.answer)
    for (const row of page.rows ?? []) {
      const jobId = isJson(row) ? refId(row['recruitment']) : null
      if (!isJson(row) || jobId === null)
        throw new TidemarkError(
          'PROVIDER_ANSWER_INVALID',
          `GET ${path}: a row names no recruitment, so that nothing follows from the list.`,
        )
      rows.set(jobId, row)
    }
    const isWhole = kind === 'absent' || (page.rows !== null && page.isLast)
    const stateOf = (id: string): Json | undefined => {
      const row = rows.get(id)
      return row === undefined ? undefined : isJson(row['state']) ? row['state'] : {}
    }
    yield { page: page.answer, stateOf: isWhole ? stateOf : null, rows }
  }
}
