/** HR WORKS carries out writes later: each answers with the id of a job, which is asked for until it is finished. */
import { type Clock, TidemarkError } from '@tidemark/base'
import type { HrworksClient, WriteRequest } from './client.ts'
import { answerInvalid } from './errors.ts'
import { idOf, isJson, type Json, textOf } from './json.ts'

/** Waits before the first polls; then the last one again and again. Inferred, as the whole time is. */
const POLL_WAITS_MS = [1000, 2000, 4000, 5000]

/** After this time nobody waits any longer. */
export const JOB_TIMEOUT_MS = 120_000

/** What HR WORKS says is wrong with a write. */
export interface JobProblem {
  /** Index of the input row; null where it is about all. */
  readonly recordId: number | null
  readonly attribute: string | null
  readonly message: string
}

/** What became of one input row. */
export interface JobResult {
  readonly recordId: number | null
  /** Id of what was written: the `data.id`, else the end of `resourceLocation` (inferred). */
  readonly id: string | null
  readonly resourceLocation: string | null
}

export type JobOutcome =
  | { readonly kind: 'finished'; readonly jobId: string; readonly results: readonly JobResult[] }
  /** Some or all rows were refused; `results` are those that were not. */
  | {
      readonly kind: 'failed'
      readonly jobId: string
      readonly problems: readonly JobProblem[]
      readonly results: readonly JobResult[]
    }
  /** Not finished in time. It may still be carried out: look before writing again. */
  | { readonly kind: 'unknown'; readonly jobId: string; readonly waitedMs: number }

export interface JobDeps {
  readonly client: HrworksClient
  readonly clock: Clock
}

export interface Submission extends Omit<WriteRequest, 'path'> {
  /** Path of the write. */
  readonly path: string
  /** Path whose `/{jobId}` tells about the job. */
  readonly jobsPath: string
}

/** Submits a write and waits for its outcome. Throws what {@link HrworksClient.write} and {@link waitForJob} throw. */
export async function submitAndWait(deps: JobDeps, { jobsPath, ...write }: Submission): Promise<JobOutcome> {
  const answer = await deps.client.write(write)
  const jobId = isJson(answer) ? idOf(answer, 'jobId') : undefined
  const what = `${write.method} ${write.path} of ${deps.client.integration}`
  if (jobId === undefined) throw answerInvalid(what, 'HR WORKS accepted a write without naming its job')
  return await waitForJob(deps, { jobsPath, jobId, signal: write.signal })
}

/**
 * Asks for a job after 1, 2, 4, then every 5 seconds, for two minutes. A poll that gets no answer is no end: the job
 * may go on. Throws PROVIDER_REFUSED when the job is not known (400) or may not be read, and the signal's reason on
 * abort.
 */
export async function waitForJob(
  { client, clock }: JobDeps,
  { jobsPath, jobId, signal }: { readonly jobsPath: string; readonly jobId: string; readonly signal: AbortSignal },
): Promise<JobOutcome> {
  const startedAtMs = clock.now()
  for (let poll = 0; ; poll++) {
    const leftMs = startedAtMs + JOB_TIMEOUT_MS - clock.now()
    if (leftMs <= 0) return { kind: 'unknown', jobId, waitedMs: clock.now() - startedAtMs }
    const waitMs = POLL_WAITS_MS[Math.min(poll, POLL_WAITS_MS.length - 1)] ?? 0
    await clock.sleep(Math.min(waitMs, leftMs), signal)
    signal.throwIfAborted()
    const state = await askFor(client, `${jobsPath}/${encodeURIComponent(jobId)}`, signal)
    if (state !== null && isFinished(state)) return outcomeOf(jobId, state, (text) => client.redact(text))
  }
}

async function askFor(client: HrworksClient, path: string, signal: AbortSignal): Promise<Json | null> {
  try {
    const answer = await client.read({ path, signal, parse: (json) => (isJson(json) ? json : undefined) })
    if (answer.kind === 'ok') return answer.value
    throw new TidemarkError('PROVIDER_REFUSED', answer.message)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof TidemarkError && error.next === 'retry') return null
    throw error
  }
}

/** The words for the states are inferred; a job that says what came of it is finished, whatever it calls that. */
function isFinished(state: Json): boolean {
  const status = textOf(state, 'status')?.toLowerCase()
  if (status === 'pending') return false
  return (
    status === 'finished' || ['generalErrors', 'dataErrors', 'result'].some((name) => objects(state[name]).length > 0)
  )
}

function outcomeOf(jobId: string, state: Json, redact: (text: string) => string): JobOutcome {
  const rows = objects(state['result'])
  const problems = [
    ...objects(state['generalErrors']).map((error) => problemOf(error, null, redact)),
    ...objects(state['dataErrors']).map((error) => problemOf(error, null, redact)),
    ...rows.flatMap((row) => objects(row['errors']).map((error) => problemOf(error, recordIdOf(row), redact))),
  ]
  const results = rows.filter((row) => objects(row['errors']).length === 0).map(resultOf)
  return problems.length === 0 ? { kind: 'finished', jobId, results } : { kind: 'failed', jobId, problems, results }
}

const objects = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isJson) : [])

const recordIdOf = (row: Json): number | null => (typeof row['recordId'] === 'number' ? row['recordId'] : null)

/** Properties of errors are inferred. What is wrong may be repeated, such as a URL with its secret. */
const problemOf = (error: Json, recordId: number | null, redact: (text: string) => string): JobProblem => ({
  recordId: recordIdOf(error) ?? recordId,
  attribute: textOf(error, 'attribute') ?? null,
  message: redact(textOf(error, 'message') ?? textOf(error, 'code') ?? 'no reason given').slice(0, 300),
})

function resultOf(row: Json): JobResult {
  const resourceLocation = textOf(row, 'resourceLocation') ?? null
  const { data } = row
  const id = (isJson(data) ? idOf(data, 'id') : undefined) ?? /([^/?#]+)\/?$/.exec(resourceLocation ?? '')?.[1] ?? null
  return { recordId: recordIdOf(row), id, resourceLocation }
}
