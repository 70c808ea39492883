/**
 * How each stream is read. An answer that only helps to read others is a page too, so that ats.raw holds all that was
 * looked at.
 */
import type { Page } from '@tidemark/connector'
import type { HttpAnswer } from '@tidemark/connector/http'
import type { Effort, HrworksClient } from './client.ts'
import type { CursorLimits } from './cursor.ts'
import { rowsOf } from './json.ts'
import { type Listing, type ListPage, list } from './listing.ts'
import {
  type HrworksStream,
  type MappedRows,
  type MappingContext,
  mapApplications,
  mapCandidates,
  mapJobStages,
  mapJobs,
  mapUsers,
  statusesIn,
} from './mapping.ts'
import { toPage } from './page.ts'
import { Directory, personIdsByEmail, personRows } from './people.ts'
import { departmentsOf, needsDepartments, needsPersons } from './posts.ts'
import type { Statuses } from './statuses.ts'

/** More statuses than a hiring process can have: further ones are no stages of jobs. */
const STAGES_MAX = 200

export interface Reading {
  readonly client: HrworksClient
  readonly integrationId: string
  readonly statuses: Statuses
  readonly effort: Effort
  readonly cursor: CursorLimits
  readonly warn: (text: string) => void
}

const named = (path: string, name: string, query: Listing['query'] = []): Listing => ({
  path,
  query,
  rows: (json) => rowsOf(json, name),
})

/** Inactive posts and persons are listed too: what is missing from such a list is gone, and not merely inactive. */
const ALL = [['onlyActive', 'false']] as const

export const LISTINGS = {
  posts: named('/applicant-management/posts', 'posts', ALL),
  applicants: named('/applicant-management/applicants', 'applicants'),
  jobApplications: named('/applicant-management/job-applications', 'jobApplications'),
  persons: { path: '/persons', query: ALL, rows: personRows },
  activePersons: { path: '/persons', query: [['onlyActive', 'true']], rows: personRows },
  masterData: named('/persons/master-data', 'persons', ALL),
  organizationUnits: named('/organization-units', 'organizationUnits'),
} as const satisfies Readonly<Record<string, Listing>>

type Fetch = (reading: Reading) => AsyncGenerator<Page>

/**
 * Reads each stream to its end. A stream whose own list may not be read is one page that says which permission is
 * missing.
 */
export const FETCHES: Readonly<Record<HrworksStream, Fetch>> = {
  users: fetchUsers,
  jobs: fetchJobs,
  candidates: fetchCandidates,
  applications: fetchApplications,
}

async function* fetchUsers(reading: Reading): AsyncGenerator<Page> {
  const persons = await all(reading, LISTINGS.persons)
  if (persons.forbidden) return yield persons.forbidden
  const directory = new Directory()
  const active: unknown[] = []
  if (yield* aside(reading, LISTINGS.activePersons, (rows) => pushAll(active, rows))) directory.setActive(active)
  yield* aside(reading, LISTINGS.masterData, (rows) => directory.addMasterData(rows))
  for (const { answer, rows } of persons.pages) yield mappedPage(reading, answer, mapUsers(rows, directory))
}

async function* fetchJobs(reading: Reading): AsyncGenerator<Page> {
  const posts = await all(reading, LISTINGS.posts)
  if (posts.forbidden) return yield posts.forbidden
  const rows = posts.pages.flatMap((page) => page.rows)
  const departments = needsDepartments(rows) ? yield* readDepartments(reading) : undefined
  const personIds = needsPersons(rows) ? yield* readPersonIds(reading) : undefined
  for (const { answer, rows } of posts.pages) {
    const context = { ...contextOf(reading, answer), departments, personIdsByEmail: personIds }
    yield mappedPage(reading, answer, mapJobs(rows, context))
  }
}

async function* readDepartments(reading: Reading): AsyncGenerator<Page, ReadonlyMap<string, string> | undefined> {
  const units: unknown[] = []
  const isRead = yield* aside(reading, LISTINGS.organizationUnits, (rows) => pushAll(units, rows))
  return isRead ? departmentsOf(units) : undefined
}

async function* readPersonIds(reading: Reading): AsyncGenerator<Page, ReadonlyMap<string, string> | undefined> {
  const persons: unknown[] = []
  const directory = new Directory()
  const isRead = yield* aside(reading, LISTINGS.persons, (rows) => pushAll(persons, rows))
  if (!isRead) return undefined
  const hasAddresses = yield* aside(reading, LISTINGS.masterData, (rows) => directory.addMasterData(rows))
  return hasAddresses ? personIdsByEmail(persons, directory) : undefined
}

async function* fetchCandidates(reading: Reading): AsyncGenerator<Page> {
  for await (const page of pagesOf(reading, LISTINGS.applicants)) {
    if (page.kind === 'forbidden') yield toPage(page.answer, undefined, page.message)
    else yield mappedPage(reading, page.answer, mapCandidates(page.rows))
  }
}

/** All applications, then the posts once more: only now all statuses have been seen that are stages of their jobs. */
async function* fetchApplications(reading: Reading): AsyncGenerator<Page> {
  const seen = new Set<string>()
  for await (const page of pagesOf(reading, LISTINGS.jobApplications)) {
    if (page.kind === 'forbidden') return yield toPage(page.answer, undefined, page.message)
    const { answer, rows } = page
    for (const status of statusesIn(rows)) seen.add(status)
    yield mappedPage(reading, answer, mapApplications(rows, contextOf(reading, answer)))
  }
  if (seen.size === 0) return
  if (seen.size > STAGES_MAX)
    reading.warn(`There are ${seen.size} statuses; the first ${STAGES_MAX} are stages of jobs.`)
  const stages = [...seen].slice(0, STAGES_MAX)
  for await (const page of pagesOf(reading, LISTINGS.posts)) {
    if (page.kind === 'forbidden') yield toPage(page.answer)
    else yield mappedPage(reading, page.answer, mapJobStages(page.rows, stages, contextOf(reading, page.answer)))
  }
}

const pagesOf = ({ client, effort, cursor }: Reading, listing: Listing): AsyncGenerator<ListPage> =>
  list(client, listing, effort, cursor)

const contextOf = ({ integrationId, statuses }: Reading, answer: HttpAnswer): MappingContext => ({
  integrationId,
  statuses,
  nowMs: answer.receivedAtMs,
})

function mappedPage(reading: Reading, answer: HttpAnswer, { mapped, warnings }: MappedRows): Page {
  for (const text of warnings) reading.warn(text)
  return toPage(answer, mapped)
}

type RowsPage = ListPage & { readonly kind: 'rows' }

/** All pages of a list that is held until what it refers to is known. */
async function all(
  reading: Reading,
  listing: Listing,
): Promise<{ readonly pages: readonly RowsPage[]; readonly forbidden: Page | null }> {
  const pages: RowsPage[] = []
  for await (const page of pagesOf(reading, listing)) {
    if (page.kind === 'forbidden') return { pages: [], forbidden: toPage(page.answer, undefined, page.message) }
    pages.push(page)
  }
  return { pages, forbidden: null }
}

/**
 * Reads a list for the sake of others. Its pages map to nothing; false when it may not be read, which only costs some
 * fields.
 */
async function* aside(
  reading: Reading,
  listing: Listing,
  use: (rows: readonly unknown[]) => void,
): AsyncGenerator<Page, boolean> {
  for await (const page of pagesOf(reading, listing)) {
    yield toPage(page.answer)
    if (page.kind === 'forbidden') return false
    use(page.rows)
  }
  return true
}

/** A list of persons is not paged: too long for the arguments of one call. */
function pushAll(to: unknown[], rows: readonly unknown[]): void {
  for (const row of rows) to.push(row)
}
