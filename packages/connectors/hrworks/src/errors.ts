/**
 * What HR WORKS' failures mean. Its error payloads are named, but not described; nothing here depends on more than the
 * status.
 */
import { type ErrorCode, TidemarkError } from '@tidemark/base'
import { type HttpAnswer, type Judgement, retryAfterMs } from '@tidemark/connector/http'
import { isJson, textOf } from './json.ts'

const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  PROVIDER_AUTHENTICATION: 'Check access_key and secret_access_key of this source, or create a new key pair.',
  PROVIDER_REFUSED: 'Check base_url and the permissions of the key pair.',
  PROVIDER_NOT_READY: 'It is asked again from time to time.',
  PROVIDER_RATE_LIMITED: 'It is tried again when the limit allows.',
  PROVIDER_UNAVAILABLE: 'It is tried again.',
  PROVIDER_ANSWER_INVALID: 'It is tried again; check that base_url is the API of HR WORKS if it repeats.',
}

/**
 * The parts of the API that a key pair may be allowed to read, by path; the wording of HR WORKS' own page is not known.
 */
const PERMISSIONS: readonly (readonly [prefix: string, permission: string])[] = [
  ['/persons/master-data', 'master data of persons'],
  ['/persons', 'persons'],
  ['/organization-units', 'organization units'],
  ['/applicant-management/posts', 'posts (applicant management)'],
  ['/applicant-management/applicants', 'applicants (applicant management)'],
  ['/applicant-management/job-applications', 'job applications (applicant management)'],
  ['/webhooks', 'webhooks'],
]

/** The permission of a key pair that reading a path needs. */
export const permissionFor = (path: string): string =>
  PERMISSIONS.find(([prefix]) => path.startsWith(prefix))?.[1] ?? path

/** ` (code: message)` of an error payload of any of the inferred forms, clipped; empty when there is none. */
export function saidBy(json: unknown): string {
  const list = isJson(json) ? (json['errors'] ?? json['generalErrors']) : undefined
  const error: unknown = Array.isArray(list) ? list[0] : json
  if (!isJson(error)) return ''
  const words = [textOf(error, 'code'), textOf(error, 'message')].filter((word) => word !== undefined)
  return words.length === 0 ? '' : ` (${words.join(': ').slice(0, 300)})`
}

/** Why a path cannot be read with this key pair, and what to do. */
export const forbiddenMessage = (what: string, path: string, json: unknown): string =>
  `${what}: HR WORKS answered 403${saidBy(json)}. The key pair lacks the permission to read ${permissionFor(path)}; an administrator ticks it at Basics, Integrations, HR WORKS-API.`

/** Judges a failed answer for which its request has no use. */
export function judgeFailure(answer: HttpAnswer, json: unknown, what: string): Judgement<never> {
  const { status, headers, receivedAtMs } = answer
  const [kind, code] = meaningOf(status)
  const message = `${what}: HR WORKS answered ${status}${saidBy(json)}. ${ADVICE[code] ?? ''}`.trim()
  const error = new TidemarkError(code, message, { fields: { status } })
  if (kind === 'fail') return { kind, error }
  return { kind, error, waitMs: retryAfterMs(headers, receivedAtMs) }
}

function meaningOf(status: number): readonly ['fail' | 'retry' | 'rate_limited', ErrorCode] {
  if (status === 401) return ['fail', 'PROVIDER_AUTHENTICATION']
  if (isNotReady(status)) return ['fail', 'PROVIDER_NOT_READY']
  if (status === 429) return ['rate_limited', 'PROVIDER_RATE_LIMITED']
  if (status === 408 || (status >= 500 && status <= 599)) return ['retry', 'PROVIDER_UNAVAILABLE']
  if (status >= 400) return ['fail', 'PROVIDER_REFUSED']
  if (status >= 300) return ['fail', 'PROVIDER_ANSWER_INVALID']
  return ['retry', 'PROVIDER_ANSWER_INVALID']
}

/** HR WORKS documents no such state; a conflict on a read is taken for one (inferred). */
const isNotReady = (status: number): boolean => status === 409

/** An answer of status 200 that is not what is documented: HTML, cut JSON, another envelope. */
export const answerInvalid = (what: string, problem: string): TidemarkError =>
  new TidemarkError('PROVIDER_ANSWER_INVALID', `${what}: ${problem}. ${ADVICE.PROVIDER_ANSWER_INVALID}`)
