import { TidemarkError } from '@tidemark/base'
import type { PointRead, PointReadOptions, PointReads } from '@tidemark/connector'
import { remoteKeyParts } from '@tidemark/model'
import type { HrworksClient, ReadAnswer } from './client.ts'
import { isJson, type Json, textOf } from './json.ts'
import { list } from './listing.ts'
import { type MappedRows, mapCandidates, mapJobs } from './mapping.ts'
import { toPage } from './page.ts'
import type { Statuses } from './statuses.ts'
import { LISTINGS } from './streams.ts'

interface Of {
  readonly client: HrworksClient
  readonly integrationId: string
  readonly statuses: Statuses
}

/**
 * Applicants are asked for one by one; 404 says that there is none (inferred), also where the listing leaves one out
 * because it has no application. A job is asked for by its post where its key is a post's, and otherwise looked for in
 * the one answer that lists all.
 */
export function createPointReads(of: Of): PointReads {
  return {
    models: new Set(['candidates', 'jobs']),
    read: (options) => {
      if (options.model === 'candidates') return readCandidates(of, options)
      if (options.model === 'jobs') return readJobs(of, options)
      throw new RangeError(`HR WORKS has no reads of single ${options.model}`)
    },
  }
}

async function* readCandidates({ client }: Of, options: PointReadOptions): AsyncGenerator<PointRead> {
  for (const key of options.remoteKeys) {
    const answer = await readOne(client, `/applicant-management/applicants/`, key, options)
    yield settle(answer, key, (row) => mapCandidates([row]))
  }
}

async function* readJobs(
  { client, integrationId, statuses }: Of,
  options: PointReadOptions,
): AsyncGenerator<PointRead> {
  const posts = options.remoteKeys.filter(isPostKey)
  const offers = options.remoteKeys.filter((key) => !isPostKey(key))
  for (const key of posts) {
    const answer = await readOne(client, `/applicant-management/posts/`, key, options)
    const context = { integrationId, statuses, nowMs: answer.receivedAtMs }
    yield settle(answer, key, (row) => mapJobs([row], context))
  }
  if (offers.length === 0) return
  for await (const page of list(client, LISTINGS.posts, effortOf(options))) {
    if (page.kind === 'forbidden') return yield { ...toPage(page.answer, undefined, page.message), absent: [] }
    const context = { integrationId, statuses, nowMs: page.answer.receivedAtMs }
    yield onlyAsked(page.answer, offers, mapJobs(page.rows, context))
  }
}

/** Whether a job's key is a post's uuid; offers have short ids (inferred from the ones that were seen). */
const isPostKey = (key: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(key)

const effortOf = ({ signal, onRetry }: PointReadOptions) => ({ signal, onRetry, isBulk: true })

async function readOne(
  client: HrworksClient,
  folder: string,
  key: string,
  options: PointReadOptions,
): Promise<ReadAnswer<Json>> {
  const id = remoteKeyParts(key)[0] ?? ''
  const path = `${folder}${encodeURIComponent(id)}`
  const answer = await client.read({ path, ...effortOf(options), parse: (json) => (isJson(json) ? json : undefined) })
  if (answer.kind === 'ok' && textOf(answer.value, 'uuid') !== id) {
    const message = `${answer.route}: HR WORKS answered with another record than the one asked for, so that nothing follows for that one.`
    throw new TidemarkError('PROVIDER_ANSWER_INVALID', message)
  }
  return answer
}

/** What one record's answer settles. A permission that is missing settles nothing. */
function settle(answer: ReadAnswer<Json>, key: string, map: (row: Json) => MappedRows): PointRead {
  if (answer.kind === 'forbidden') return { ...toPage(answer, undefined, answer.message), absent: [] }
  if (answer.kind === 'missing') return { ...toPage(answer), absent: [{ remoteKey: key, record: {} }] }
  return onlyAsked(answer, [key], map(answer.value))
}

/**
 * Of what an answer shows, the records that were asked for; what it lacks is absent, unless it holds records that
 * cannot be read.
 */
function onlyAsked(answer: Parameters<typeof toPage>[0], keys: readonly string[], { mapped }: MappedRows): PointRead {
  const asked = new Set(keys)
  const records = mapped.records.filter(({ remoteKey }) => asked.has(remoteKey))
  const found = new Set(records.map(({ remoteKey }) => remoteKey))
  const absent = mapped.failures.length > 0 ? [] : keys.filter((key) => !found.has(key))
  return { ...toPage(answer, { ...mapped, records }), absent: absent.map((remoteKey) => ({ remoteKey, record: {} })) }
}
