/** Files of candidates. TRAFFIT keeps them on the employee and gives their bytes to the API client only. */
import { TidemarkError } from '@tidemark/base'
import {
  ATTACHMENT_BYTES_MAX,
  ATTACHMENT_MODELS,
  type Attachment,
  type AttachmentContent,
  type AttachmentContentOptions,
  type AttachmentList,
  type AttachmentOptions,
  type Attachments,
} from '@tidemark/connector'
import { attachmentId, isJson } from '@tidemark/connector/mapping'
import { remoteKeyParts } from '@tidemark/model'
import type { GetAnswer, GetRequest, TraffitClient } from './client.ts'
import { contentTypeOf, typeOf, UNKNOWN_CONTENT } from './files.ts'
import { idOf, textOf } from './json.ts'
import { refused } from './run.ts'

type Client = Pick<TraffitClient, 'get'>

/** The scope behind the files (inferred: the documentation names it and no route of it). */
const SCOPE = 'file'

/** Files through `/employees/{id}/files`, whose rows hold nothing but an id and a name. */
export function createAttachments(client: Client): Attachments {
  return {
    models: new Set(ATTACHMENT_MODELS),
    list: (options) => list(client, options),
    content: (options) => content(client, options),
  }
}

/** Of an application, too, the first part of the key is the employee. */
const filesPath = ({ remoteKey }: AttachmentOptions): string =>
  `/employees/${encodeURIComponent(remoteKeyParts(remoteKey)[0] ?? '')}/files`

async function list(client: Client, options: AttachmentOptions): Promise<AttachmentList | null> {
  const path = filesPath(options)
  const answer = await get(client, { path }, options)
  if (answer === null) return null
  if (!Array.isArray(answer.json))
    throw new TidemarkError('PROVIDER_ANSWER_INVALID', `GET ${path}: TRAFFIT answered with something else than a list.`)
  const attachments = answer.json.flatMap((row: unknown) => attachmentOf(row, options) ?? [])
  return { attachments, warnings: warningsOf(options, answer.json.length - attachments.length) }
}

function attachmentOf(row: unknown, { integrationId, remoteKey }: AttachmentOptions): Attachment | null {
  const fileId = isJson(row) ? idOf(row['id']) : null
  if (!isJson(row) || fileId === null) return null
  const fileName = textOf(row['name']) ?? fileId
  const employeeId = remoteKeyParts(remoteKey)[0] ?? ''
  return {
    ...{ id: attachmentId(integrationId, employeeId, fileId), remoteId: fileId, fileName },
    ...{ type: typeOf(fileName), contentType: contentTypeOf(fileName) },
    // Whatever application they came with.
    ...{ dataUrl: null, applicationId: null, remoteCreatedAtMs: null, remoteUpdatedAtMs: null },
  }
}

function warningsOf({ model }: AttachmentOptions, unreadable: number): string[] {
  const warnings: string[] = []
  if (model === 'applications')
    warnings.push("TRAFFIT keeps files on the candidate, not on the application: these are all of the candidate's.")
  if (unreadable > 0)
    warnings.push(`${unreadable} files have no id that can be read and were left out; ask TRAFFIT about them.`)
  return warnings
}

/** The list says whose file it is, and its name. */
async function content(client: Client, options: AttachmentContentOptions): Promise<AttachmentContent | null> {
  const listed = await list(client, options)
  const file = listed?.attachments.find(({ id }) => id === options.attachmentId)
  if (!file) return null
  const path = `${filesPath(options)}/${file.remoteId}/content`
  const answer = await get(client, { path, fileBytesMax: ATTACHMENT_BYTES_MAX }, options)
  if (answer === null) return null
  const { headers, body } = answer.answer
  const said = headers['content-type']
  if (isHtml(said) && !isHtml(file.contentType)) {
    const message = `GET ${path}: TRAFFIT answered with an HTML page (a login, or maintenance?) instead of the file ${file.remoteId}.`
    throw new TidemarkError('PROVIDER_ANSWER_INVALID', message)
  }
  const contentType = said === undefined || said.startsWith(UNKNOWN_CONTENT) ? file.contentType : said
  return { fileName: file.fileName, contentType, bytes: body }
}

const isHtml = (contentType: string | undefined): boolean => /\bhtml\b/i.test(contentType ?? '')

/** What is there; null for what is not. Throws for everything else. */
async function get(
  client: Client,
  request: GetRequest,
  { signal, onRetry }: AttachmentOptions,
): Promise<GetAnswer | null> {
  const answer = await client.get(request, { signal, onRetry, isLive: true }).catch(tooLarge)
  if (answer.kind === 'absent') return null
  if (answer.kind === 'refused') throw refused(answer)
  if (answer.kind === 'ok') return answer
  const advice = `Files are not read without the scope \`${SCOPE}\`: add it to the API client in TRAFFIT's settings.`
  throw new TidemarkError('PROVIDER_REFUSED', `${answer.message} ${advice}`, { fields: { status: 403 } })
}

function tooLarge(error: unknown): never {
  const bytesMax = error instanceof TidemarkError ? error.fields['bytesMax'] : undefined
  if (bytesMax !== ATTACHMENT_BYTES_MAX) throw error
  const message = `The file is larger than ${bytesMax} bytes, the most that is handed on. Get it in TRAFFIT itself.`
  throw new TidemarkError('PROVIDER_ANSWER_INVALID', message, { cause: error })
}
