/**
 * Registers this source's webhooks at HR WORKS: one registration says one resource and one action, so an applicant
 * needs four.
 */
import { TidemarkError } from '@tidemark/base'
import type { Effort, Query } from './client.ts'
import { permissionFor } from './errors.ts'
import { type JobDeps, type JobOutcome, type Submission, submitAndWait } from './jobs.ts'
import { idOf, isJson, type Json, rowsOf, textOf } from './json.ts'
import { list } from './listing.ts'

/** Actions of the specification. */
export const WEBHOOK_ACTIONS = ['resourceCreated', 'resourceUpdated', 'resourceDeleted', 'resourceDeactivated'] as const

export type WebhookAction = (typeof WEBHOOK_ACTIONS)[number]

const PATH = '/webhooks'
const JOBS_PATH = '/webhooks/jobs'

export interface WebhookTarget extends Effort {
  /** Where deliveries go: `https://<host>/webhooks/<source>`, with `?secret=` where the source has a webhook secret. */
  readonly url: string
  /** The key pair whose secret signs the deliveries. */
  readonly accessKey: string
}

/** What registering came to, by action. */
export interface Registration {
  readonly created: readonly WebhookAction[]
  /** Registrations of this endpoint that were inactive, or had another secret in their URL. */
  readonly updated: readonly WebhookAction[]
  readonly unchanged: readonly WebhookAction[]
}

interface Registered {
  readonly id: number
  readonly row: Json
}

/**
 * Makes the four registrations for applicants what they should be. Doing it again changes nothing. Throws
 * PROVIDER_REFUSED with HR WORKS' reasons, and PROVIDER_UNAVAILABLE when it is not known what became of it.
 */
export async function registerWebhooks(deps: JobDeps, target: WebhookTarget): Promise<Registration> {
  const registered = await listOurs(deps, target)
  const data = (action: WebhookAction) => ({
    ...{ name: `tidemark ${deps.client.integration} ${action}`, url: target.url, resource: 'applicant', action },
    ...{ accessKey: target.accessKey, isActive: true, remark: 'Tells tidemark to look at an applicant' },
  })
  const found = new Map(
    WEBHOOK_ACTIONS.map((action) => [action, registered.find(({ row }) => row['action'] === action)]),
  )
  const created = WEBHOOK_ACTIONS.filter((action) => found.get(action) === undefined)
  const isRight = ({ row }: Registered): boolean => row['url'] === target.url && row['isActive'] !== false
  const updated = WEBHOOK_ACTIONS.filter((action) => {
    const one = found.get(action)
    return one !== undefined && !isRight(one)
  })
  if (created.length > 0) await carryOut(deps, target, { method: 'POST', body: { data: created.map(data) } })
  if (updated.length > 0) {
    const rows = updated.map((action) => ({ ...data(action), id: found.get(action)?.id }))
    await carryOut(deps, target, { method: 'PUT', body: { data: rows } })
  }
  const unchanged = WEBHOOK_ACTIONS.filter((action) => !created.includes(action) && !updated.includes(action))
  return { created, updated, unchanged }
}

/**
 * Removes every registration of this endpoint, whatever its resource; returns how many there were. Throws as {@link
 * registerWebhooks} does.
 */
export async function removeWebhooks(deps: JobDeps, target: WebhookTarget): Promise<number> {
  const ours = await listOurs(deps, target)
  if (ours.length === 0) return 0
  await carryOut(deps, target, { method: 'DELETE', query: ours.map(({ id }) => ['numbers', String(id)]) })
  return ours.length
}

/** Registrations whose URL is this endpoint's; the query is left out, because a secret in it may have been replaced. */
async function listOurs({ client }: JobDeps, { url, signal, onRetry }: WebhookTarget): Promise<Registered[]> {
  const endpoint = endpointOf(url)
  const listing = {
    path: PATH,
    query: [['onlyActive', 'false']] as Query,
    rows: (json: unknown) => rowsOf(json, 'webhooks'),
  }
  const ours: Registered[] = []
  for await (const page of list(client, listing, { signal, onRetry })) {
    if (page.kind === 'forbidden') throw new TidemarkError('PROVIDER_REFUSED', page.message)
    for (const row of page.rows) {
      const id = isJson(row) ? Number(idOf(row, 'id') ?? idOf(row, 'number')) : Number.NaN
      if (isJson(row) && Number.isSafeInteger(id) && endpointOf(textOf(row, 'url')) === endpoint) ours.push({ id, row })
    }
  }
  return ours
}

function endpointOf(url: string | undefined): string | null {
  const parsed = URL.parse(url ?? '')
  return parsed === null ? null : `${parsed.origin}${parsed.pathname}`
}

async function carryOut(
  deps: JobDeps,
  { signal, onRetry }: WebhookTarget,
  write: Pick<Submission, 'method' | 'body' | 'query'>,
): Promise<void> {
  const outcome = await submitAndWait(deps, { ...write, path: PATH, jobsPath: JOBS_PATH, signal, onRetry })
  if (outcome.kind !== 'finished') throw notDone(`${write.method} ${PATH} of ${deps.client.integration}`, outcome)
}

function notDone(what: string, outcome: Exclude<JobOutcome, { readonly kind: 'finished' }>): TidemarkError {
  if (outcome.kind === 'unknown') {
    const message = `${what}: HR WORKS did not finish within ${outcome.waitedMs / 1000} s. Do it again: what is registered already stays as it is.`
    return new TidemarkError('PROVIDER_UNAVAILABLE', message)
  }
  const reasons = outcome.problems.map(({ attribute, message }) =>
    attribute === null ? message : `${attribute}: ${message}`,
  )
  const message = `${what}: HR WORKS refused it (${reasons.slice(0, 5).join('; ')}). Check the URL and the permission for ${permissionFor(PATH)}.`
  return new TidemarkError('PROVIDER_REFUSED', message)
}
