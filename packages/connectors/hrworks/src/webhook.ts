/**
 * HR WORKS' webhooks. The signature covers the job id and a timestamp, not the rest of the body, so a webhook is a hint
 * and no more: the record that it names is read, and nothing else in it is believed. The form of a delivery is known
 * from one public design document only.
 */
import { TidemarkError } from '@tidemark/base'
import type { WebhookEffect, WebhookReading, WebhookRequest } from '@tidemark/connector'
import { parseJson } from '@tidemark/connector/http'
import { hmacMatches, hmacText, secretMatches } from '@tidemark/connector/webhooks'
import { remoteKey } from '@tidemark/model'
import { idOf, isJson, type Json, textOf } from './json.ts'
import type { HrworksOptions } from './options.ts'

export const SIGNATURE_HEADER = 'x-hrworks-signature'
export const TIMESTAMP_HEADER = 'x-hrworks-timestamp'

/** How far the timestamp of a webhook may be from our clock. */
export const TIMESTAMP_TOLERANCE_MS = 300_000

/** base64 of HMAC-SHA256 over `<job id>.<timestamp>`. */
export function sign(secretAccessKey: string, jobId: string, timestamp: string): string {
  return hmacText({ secret: secretAccessKey, bytes: signedText(jobId, timestamp), encoding: 'base64' })
}

const signedText = (jobId: string, timestamp: string): string => `${jobId}.${timestamp}`

/**
 * True for a webhook that this tenant's key pair signed within the last five minutes and, where a secret is configured,
 * whose URL carries it. The comparisons take the same time whatever is wrong. The body is parsed before, because the
 * job id that is signed stands in it.
 */
export function verify(
  { secretAccessKey, webhookSecret }: Pick<HrworksOptions, 'secretAccessKey' | 'webhookSecret'>,
  nowMs: number,
  { headers, query, rawBody }: WebhookRequest,
): boolean {
  const timestamp = headers[TIMESTAMP_HEADER] ?? ''
  const jobId = jobIdOf(rawBody)
  const bytes = signedText(jobId ?? '', timestamp)
  const given = headers[SIGNATURE_HEADER]
  const isSigned = hmacMatches({ secret: secretAccessKey, bytes, encoding: 'base64', given })
  const hasSecret = webhookSecret === null || secretMatches(query['secret'], webhookSecret)
  return isSigned && hasSecret && jobId !== null && isFresh(timestamp, nowMs)
}

/**
 * The unit of the timestamp is not documented: seconds, or ms for a number that would be far in the future (inferred).
 */
function isFresh(timestamp: string, nowMs: number): boolean {
  if (!/^\d{9,14}$/.test(timestamp)) return false
  const number = Number(timestamp)
  const ms = number < 1e11 ? number * 1000 : number
  return Math.abs(nowMs - ms) <= TIMESTAMP_TOLERANCE_MS
}

function jobIdOf(rawBody: Uint8Array): string | null {
  const body = parseJson(rawBody)
  return isJson(body) ? (idOf(body, 'jobId') ?? null) : null
}

const unmappable = (problem: string): TidemarkError =>
  new TidemarkError(
    'WEBHOOK_UNMAPPABLE',
    `${problem}. The bytes are kept in ats.raw; compare them with the connector's README.`,
  )

/** Reads a verified webhook: a hint on an applicant, or ignored. Throws WEBHOOK_UNMAPPABLE where it names nothing. */
export function readWebhook(rawBody: Uint8Array, integrationId: string): WebhookReading {
  const body = parseJson(rawBody)
  if (!isJson(body)) throw unmappable('The webhook is signed, but its body is not a JSON object')
  const location = textOf(body, 'resourceLocation')
  if (location === undefined) throw unmappable('The webhook has no `resourceLocation`')
  return {
    // One write may touch several records under one job id.
    eventId: `${idOf(body, 'jobId') ?? ''} ${location}`,
    eventName: eventName(body),
    integrationId,
    effects: [effectOf(location)],
  }
}

/** `action`, such as resourceUpdated; `event` is the same for all. */
const eventName = (body: Json): string => textOf(body, 'action') ?? textOf(body, 'event') ?? 'unknown'

function effectOf(location: string): WebhookEffect {
  const uuid = applicantOf(location)
  if (uuid !== null) return { kind: 'read', model: 'candidates', remoteKeys: [remoteKey(uuid)] }
  const path = (URL.parse(location)?.pathname ?? 'an unreadable location').slice(0, 200)
  return { kind: 'ignored', reason: `${path} is not an applicant` }
}

/**
 * The uuid at the end of an applicant's location (form inferred), or null. The host is not looked at, because nothing
 * is read from this URL: only the uuid is used, below our own base URL.
 */
export function applicantOf(location: string): string | null {
  const path = URL.parse(location)?.pathname ?? ''
  return /\/applicant-management\/applicants\/([0-9A-Za-z_-]{1,64})\/?$/.exec(path)?.[1] ?? null
}
