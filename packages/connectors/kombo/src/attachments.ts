/** Files of applications and candidates, as Kombo's own routes give them. */
import { TidemarkError } from '@tidemark/base'
import {
  ATTACHMENT_MODELS,
  ATTACHMENT_TYPES,
  type Attachment,
  type AttachmentList,
  type AttachmentOptions,
  type AttachmentRestrictions,
  type Attachments,
  type AttachmentType,
} from '@tidemark/connector'
import {
  type HttpAnswer,
  impatient,
  insteadOfJson,
  type Judgement,
  LIVE_ATTEMPTS_MAX,
  parseJson,
} from '@tidemark/connector/http'
import { isJson, type Json } from '@tidemark/connector/mapping'
import { ANSWER_BYTES_MAX, type Relay } from '@tidemark/connector/passthrough'
import { parseTime, remoteKeyParts } from '@tidemark/model'
import { z } from 'zod'
import { authHeaders } from './auth.ts'
import { errorEnvelope, isAbsence } from './errors.ts'
import type { KomboOptions } from './options.ts'
import { refusal } from './passthrough.ts'

type Caller = Pick<AttachmentOptions, 'integrationId' | 'signal' | 'onRetry'>

/** Kombo reads them from the ATS at that moment, and tells for each where its content is: nothing is fetched from here. */
export function createAttachments(link: Relay, options: KomboOptions): Attachments {
  return {
    models: new Set(ATTACHMENT_MODELS),
    async list(asked) {
      const path = `/ats/${asked.model}/${encodeURIComponent(remoteKeyParts(asked.remoteKey)[0] ?? '')}/attachments`
      return get(link, options, asked, path, readList)
    },
    restrictions: (asked) => get(link, options, asked, `/ats/actions/${asked.action}`, readRestrictions),
  }
}

/** What `read` finds in a good answer; null when Kombo says that there is no such record. */
function get<T>(
  { http, waitOf }: Relay,
  options: KomboOptions,
  { integrationId, signal, onRetry }: Caller,
  path: string,
  read: (json: Json) => T | undefined,
): Promise<T | null> {
  const what = `GET ${path} of ${integrationId}`
  const headers = { ...authHeaders(options, integrationId), accept: 'application/json' }
  const judge = (answer: HttpAnswer): Judgement<T | null> => {
    const { status } = answer
    const json = parseJson(answer.body)
    const isGood = status >= 200 && status < 300 && errorEnvelope(json) === null
    if (!isGood && isAbsence({ route: what, status, json })) return { kind: 'done', value: null }
    if (!isGood) return patiently(refusal(answer, json, what), waitOf?.(answer))
    const value = isJson(json) ? read(json) : undefined
    if (value !== undefined) return { kind: 'done', value }
    const instead = json === undefined ? insteadOfJson(answer) : 'JSON that it does not document'
    const message = `${what}: Kombo answered ${status} with ${instead}.`
    return { kind: 'retry', error: new TidemarkError('PROVIDER_ANSWER_INVALID', message) }
  }
  return http.send(
    {
      ...{ method: 'GET', url: `${options.baseUrl}${path}`, what, signal, onRetry },
      ...{ headers: async () => headers, attemptsMax: LIVE_ATTEMPTS_MAX, bodyBytesMax: ANSWER_BYTES_MAX },
    },
    impatient(judge),
  )
}

const patiently = (judgement: Judgement<never>, waitMs: number | undefined): Judgement<never> =>
  judgement.kind === 'rate_limited' || judgement.kind === 'retry' ? { ...judgement, waitMs } : judgement

function readList(json: Json): AttachmentList | undefined {
  const data = json['data']
  if (!isJson(data) || !Array.isArray(data['results'])) return undefined
  const attachments = data['results'].flatMap((row: unknown) => attachmentOf(row) ?? [])
  const unreadable = data['results'].length - attachments.length
  const said = Array.isArray(json['warnings']) ? json['warnings'] : []
  const warnings = said.flatMap((each: unknown) => (isJson(each) ? [String(each['message'])] : []))
  if (unreadable > 0) warnings.push(`${unreadable} attachments have no id or no address and were left out.`)
  return { attachments, warnings }
}

function attachmentOf(row: unknown): Attachment | null {
  const text = (name: string): string | null => {
    const value = isJson(row) ? row[name] : undefined
    return typeof value === 'string' && value !== '' ? value : null
  }
  const id = text('id')
  const dataUrl = text('data_url')
  if (!isJson(row) || id === null || dataUrl === null || !/^https?:$/.test(URL.parse(dataUrl)?.protocol ?? ''))
    return null
  return {
    ...{ id, remoteId: text('remote_id') ?? id, type: typeOf(row['type']), fileName: text('file_name') ?? id },
    ...{ contentType: text('content_type') ?? 'application/octet-stream', dataUrl },
    applicationId: text('application_id'),
    remoteCreatedAtMs: parseTime(row['remote_created_at']) ?? null,
    remoteUpdatedAtMs: parseTime(row['remote_updated_at']) ?? null,
  }
}

/** Kombo's, and OTHER for one that it does not have yet: clients accept no fourth. */
const typeOf = (value: unknown): AttachmentType => ATTACHMENT_TYPES.find((type) => type === value) ?? 'OTHER'

const amount = z.number().nullish().default(null)
const restriction = z.discriminatedUnion('is_supported', [
  z.object({ is_supported: z.literal(false) }),
  z.object({
    is_supported: z.literal(true),
    ...{ min_amount: amount, max_amount: amount, max_file_size_bytes: amount },
    accepted_mime_types: z.array(z.string()).nullish().default(null),
  }),
])
const restrictions = z.object({
  total_size_bytes: amount,
  types: z.object({ CV: restriction, COVER_LETTER: restriction, OTHER: restriction }),
})

/** What Kombo says of files; null where it says nothing. */
function readRestrictions(json: Json): AttachmentRestrictions | null | undefined {
  const data = json['data']
  if (!isJson(data)) return undefined
  if (data['attachment_restrictions'] === null) return null
  return restrictions.safeParse(data['attachment_restrictions']).data
}
