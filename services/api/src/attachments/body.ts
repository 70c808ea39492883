/** Attachments in Kombo's words. */
import type { Attachment, AttachmentList } from '@tidemark/connector'
import { isoTime } from '@tidemark/projection'
import type { FastifyRequest } from 'fastify'
import type { ApiDeps } from '../deps.ts'
import { inputInvalid } from '../errors.ts'
import type { RecordName } from './record.ts'

/** The answer to a read of attachments. `origin`: where this API is reached. */
export const listBody = ({ attachments, warnings }: AttachmentList, record: RecordName, origin: string): object => ({
  status: 'success',
  data: { results: attachments.map((attachment) => attachmentBody(attachment, record, origin)) },
  warnings: warnings.map((message) => ({ message })),
})

function attachmentBody(attachment: Attachment, record: RecordName, origin: string): object {
  const { remoteCreatedAtMs: created, remoteUpdatedAtMs: updated } = attachment
  const owner = { application_id: attachment.applicationId, candidate_id: record.id }
  return {
    id: attachment.id,
    // Kombo tells it of candidates' only: an application's are all its own, or its candidate's.
    ...(record.model === 'candidates' ? owner : {}),
    type: attachment.type,
    remote_id: attachment.remoteId,
    data_url: attachment.dataUrl ?? contentUrl(attachment, record, origin),
    file_name: attachment.fileName,
    content_type: attachment.contentType,
    remote_created_at: created === null ? null : isoTime(created),
    remote_updated_at: updated === null ? null : isoTime(updated),
  }
}

/** With all that is needed but the API key. */
function contentUrl(attachment: Attachment, { integrationId, model, id }: RecordName, origin: string): string {
  const path = [model, id, 'attachments', attachment.id, 'content'].map(encodeURIComponent).join('/')
  return `${origin}/v1/ats/${path}?${new URLSearchParams({ integration_id: integrationId })}`
}

/** Where this API is reached, without a slash at the end: as configured, else where the request was sent to. */
export function originOf({ options }: Pick<ApiDeps, 'options'>, { protocol, host }: FastifyRequest): string {
  if (options?.publicUrl !== undefined) return options.publicUrl.replace(/\/+$/, '')
  const url = URL.parse(`${protocol}://${host}`)
  if (url !== null && url.pathname === '/' && url.username === '' && url.search === '') return url.origin
  throw inputInvalid(
    'The header Host names no host, so addresses of files cannot be told. Set public_url in the configuration.',
  )
}
