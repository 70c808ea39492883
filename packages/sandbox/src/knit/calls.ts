/** What each call of Knit's API does, apart from HTTP. A call answers with the `data` of the envelope, or throws a Refusal. */
import { type Account, jobOf, type SyncJob } from './accounts.ts'
import { showCandidate } from './applications.ts'
import { type DataType, isDataType, modelsOf, show, showApplication, showJob } from './models.ts'
import { Refusal } from './refusal.ts'
import type { Syncs } from './syncs.ts'

export interface CallDeps {
  readonly syncs: Syncs
  readonly pageSize: number
}

export interface CallInput {
  readonly account: Account
  readonly query: Readonly<Record<string, string | undefined>>
  readonly body: Readonly<Record<string, unknown>>
}

export type Call = (deps: CallDeps, input: CallInput) => unknown

/** Calls by method and name. */
export const CALLS: ReadonlyMap<string, Call> = new Map<string, Call>([
  ['POST sync.start', startSync],
  ['POST sync.update', updateSync],
  ['POST sync.startTime', setStartTime],
  ['POST sync.pause', (_deps, input) => pause(input, true)],
  ['POST sync.resume', (_deps, input) => pause(input, false)],
  ['GET sync.status', status],
  ['GET integration.details', details],
  ['POST integration.deactivate', deactivate],
  ['GET ats.job.list', listJobs],
  ['GET ats.job.get', getJob],
  ['GET ats.application.list', listApplications],
  ['GET ats.application.get', getApplication],
  ['POST ats.candidates.search', searchCandidates],
])

/** Calls that an integration answers although it is not active. */
export const CALLS_WHILE_INACTIVE: ReadonlySet<string> = new Set(['integration.details', 'integration.deactivate'])

function dataTypeOf({ dataType }: CallInput['body']): DataType {
  if (isDataType(dataType)) return dataType
  throw new Refusal(400, `dataType ${JSON.stringify(dataType)} cannot be synced for this integration`)
}

function startSync({ syncs }: CallDeps, { account, body }: CallInput): unknown {
  const dataType = dataTypeOf(body)
  const job = jobOf(account, dataType)
  const syncType = body['syncType'] ?? 'initial_sync'
  if (syncType !== 'initial_sync' && syncType !== 'delta_sync')
    throw new Refusal(400, 'syncType is initial_sync or delta_sync')
  if (job.isPaused) throw new Refusal(409, 'the sync is paused')
  if (job.running) throw new Refusal(409, `run ${job.running.syncRunId} of the sync is under way`)
  configure(job, body)
  job.includeInactive = body['includeInactiveRecords'] === true
  // A time of day in the call is the next slot, whatever was planned.
  const honorScheduler = body['honorScheduler'] === true && body['startHour'] === undefined
  syncs.begin(account, dataType, syncType, honorScheduler)
  return { syncJobId: job.syncJobId }
}

function updateSync({ syncs }: CallDeps, { account, body }: CallInput): unknown {
  const dataType = dataTypeOf(body)
  const job = jobOf(account, dataType)
  if (body['syncJobId'] !== undefined && body['syncJobId'] !== job.syncJobId)
    throw new Refusal(404, 'there is no such sync job for this integration and data type')
  if (job.running) throw new Refusal(409, `run ${job.running.syncRunId} of the sync is under way`)
  const before = [...job.models].sort().join()
  configure(job, body)
  const hasOtherModels = [...job.models].sort().join() !== before
  // The new models are to arrive complete.
  if (hasOtherModels) syncs.begin(account, dataType, 'initial_sync', true)
  else syncs.plan(account, job, body['frequency'] === undefined)
  return { syncJobId: job.syncJobId }
}

function setStartTime({ syncs }: CallDeps, { account, body }: CallInput): unknown {
  const job = jobOf(account, dataTypeOf(body))
  if (body['startHour'] === undefined) throw new Refusal(400, 'startHour is missing')
  configure(job, body)
  syncs.plan(account, job, false)
  return null
}

/** Takes over what the body says of the job. */
function configure(job: SyncJob, body: CallInput['body']): void {
  const { models, frequency, destination, startHour, startMinute = 0 } = body
  if (models !== undefined) job.models = modelsIn(job.dataType, models)
  if (frequency === 'standard' || frequency === 'medium' || frequency === 'high') job.frequency = frequency
  else if (frequency !== undefined) throw new Refusal(400, 'frequency is standard, medium or high')
  if (typeof destination === 'string') job.destination = destination
  if (startHour === undefined) return
  job.start = { hour: wholeNumber('startHour', startHour, 23), minute: wholeNumber('startMinute', startMinute, 59) }
}

function modelsIn(dataType: DataType, models: unknown): ReadonlySet<string> {
  const known = modelsOf(dataType)
  if (Array.isArray(models) && models.length > 0 && models.every((model) => known.includes(model)))
    return new Set(models)
  throw new Refusal(400, `models of ${dataType} are ${known.join(', ')}`)
}

function wholeNumber(name: string, value: unknown, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) return value
  throw new Refusal(400, `${name} is a whole number from 0 to ${max}`)
}

function pause({ account, body }: CallInput, isPaused: boolean): null {
  jobOf(account, dataTypeOf(body)).isPaused = isPaused
  return null
}

function status(_deps: CallDeps, { account, query }: CallInput): unknown {
  const job = [...account.jobs.values()].find(({ syncJobId }) => syncJobId === query['syncJobId'])
  if (!job) throw new Refusal(404, 'there is no such sync job')
  const state = job.isPaused ? 'PAUSED' : job.running ? 'RUNNING' : 'IDLE'
  return { status: state, lastRun: job.lastRun, nextRunAt: job.plannedMs === null ? null : String(job.plannedMs) }
}

function details(_deps: CallDeps, { account }: CallInput): unknown {
  const { app, integrationId, isActive } = account
  return { apps: [{ id: app, category: 'ATS', integrationId, isActive }] }
}

function deactivate(_deps: CallDeps, { account }: CallInput): null {
  account.isActive = false
  return null
}

const ALL_JOB_MODELS = new Set(modelsOf('ats_jobs'))
const ALL_APPLICATION_MODELS = new Set(modelsOf('ats_applications'))

/** One page of a listing; its token is a position. */
function page<T>(
  items: Iterable<T>,
  { pageSize }: CallDeps,
  { query }: CallInput,
): { items: T[]; next: string | null } {
  const token = query['nextPageToken'] ?? '0'
  if (!/^\d+$/.test(token)) throw new Refusal(400, 'nextPageToken is none of ours')
  const from = Number(token)
  const all = [...items]
  const next = from + pageSize
  return { items: all.slice(from, next), next: next < all.length ? String(next) : null }
}

function listJobs(deps: CallDeps, input: CallInput): unknown {
  const all = show(input.account.company, 'ats_jobs', ALL_JOB_MODELS, true)
  const { items, next } = page(all, deps, input)
  return { jobs: items.map(({ data }) => data), nextPageToken: next }
}

function listApplications(deps: CallDeps, input: CallInput): unknown {
  const all = show(input.account.company, 'ats_applications', ALL_APPLICATION_MODELS, true)
  const { items, next } = page(all, deps, input)
  return { applications: items.map(({ data }) => data), nextPageToken: next }
}

function getJob(_deps: CallDeps, { account: { company }, query }: CallInput): unknown {
  for (const job of company.tables.jobs.values())
    if (job.remoteId === query['jobId']) return { job: showJob(company, job, ALL_JOB_MODELS).data }
  throw new Refusal(404, 'there is no such job')
}

/** The candidate's id is asked for as well (observed). */
function getApplication(_deps: CallDeps, { account: { company }, query }: CallInput): unknown {
  if (query['candidateId'] === undefined) throw new Refusal(400, 'candidateId is missing')
  for (const app of company.tables.applications.values()) {
    if (app.remoteId !== query['applicationId']) continue
    if (company.tables.candidates.get(app.fields.candidate_id)?.remoteId !== query['candidateId']) break
    return { application: showApplication(company, app, ALL_APPLICATION_MODELS).data }
  }
  throw new Refusal(404, 'there is no such application of this candidate')
}

const SEARCH_MAX = 100

/** By address; the first hundred. */
function searchCandidates(_deps: CallDeps, { account: { company }, body }: CallInput): unknown {
  const found: object[] = []
  for (const candidate of company.tables.candidates.values()) {
    if (found.length === SEARCH_MAX) break
    const addresses = candidate.fields.email_addresses.map(({ email_address }) => email_address)
    if (body['email'] === undefined || addresses.includes(String(body['email']))) found.push(showCandidate(candidate))
  }
  return { candidates: found }
}
