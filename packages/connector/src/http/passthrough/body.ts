/** Bodies of passthrough requests as bytes, and of their answers as values. */
import { createHash } from 'node:crypto'
import type { PassthroughFile, PassthroughPart, PassthroughRequest } from '../../passthrough.ts'
import { requestInvalid } from './target.ts'

export interface NativeBody {
  readonly bytes: Uint8Array | string
  /** undefined: the caller's, if there is one. */
  readonly contentType: string | undefined
}

/**
 * The body of a request, or null. JSON gets its content type unless the caller gave one; text is sent as it is; forms are encoded here. Throws
 * REQUEST_INVALID for what cannot be sent.
 */
export function nativeBody(
  { data, parts }: Pick<PassthroughRequest, 'data' | 'parts'>,
  contentType: string | undefined,
): NativeBody | null {
  if (parts !== undefined) return formBody(parts, contentType)
  const text = bodyText(data)
  if (text === null) return null
  return { bytes: text, contentType: contentType ?? (typeof data === 'string' ? undefined : 'application/json') }
}

/** `data` as text: text as it is, any other value as JSON; null: no body. */
export function bodyText(data: unknown): string | null {
  if (data === undefined || data === null) return null
  if (typeof data === 'string') return data
  try {
    return JSON.stringify(data)
  } catch {
    throw requestInvalid('data: it is nested too deeply to be sent.')
  }
}

const PARTS_MAX = 100

function formBody(parts: readonly PassthroughPart[], contentType: string | undefined): NativeBody {
  if (contentType !== undefined && !/^multipart\/form-data\s*(;|$)/i.test(contentType))
    throw requestInvalid(
      'headers: content-type is multipart/form-data where multipart_form_data is sent; leave it out.',
    )
  if (parts.length > PARTS_MAX) throw requestInvalid(`multipart_form_data: there are more than ${PARTS_MAX} parts.`)
  const encoded = parts.map(encodePart)
  // No part can hold the digest of all of them.
  const digest = encoded.reduce((hash, part) => hash.update(part.head).update(part.content), createHash('sha256'))
  const boundary = `tidemark-${digest.digest('hex').slice(0, 40)}`
  const bytes = Buffer.concat([
    ...encoded.flatMap(({ head, content }) => [Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`), content, CRLF]),
    Buffer.from(`--${boundary}--\r\n`),
  ])
  return { bytes, contentType: `multipart/form-data; boundary=${boundary}` }
}

const CRLF = Buffer.from('\r\n')

function encodePart({ name, value }: PassthroughPart): { readonly head: string; readonly content: Buffer } {
  const disposition = `content-disposition: form-data; name="${quoted(name)}"`
  if (typeof value === 'string') return { head: disposition, content: Buffer.from(value) }
  const type = value.contentType ?? 'application/octet-stream'
  if (!CONTENT_TYPE.test(type))
    throw requestInvalid(`multipart_form_data: content_type of "${value.name}" is none; write it like application/pdf.`)
  return {
    head: `${disposition}; filename="${quoted(value.name)}"\r\ncontent-type: ${type}`,
    content: fileBytes(value),
  }
}

const CONTENT_TYPE = /^[\w.+-]+\/[\w.+-]+(; ?[\w.+-]+=[\w.+-]+)*$/

/** As browsers write names in forms. */
const quoted = (text: string): string => text.replace(/\r\n|\r|\n/g, '%0D%0A').replaceAll('"', '%22')

function fileBytes({ name, data, dataUrl }: PassthroughFile): Buffer {
  if (dataUrl !== undefined || data === undefined)
    throw requestInvalid(
      `multipart_form_data: send the file "${name}" as data (base64); nothing is fetched from data_url.`,
    )
  if (/^[A-Za-z0-9+/]*={0,2}$/.test(data)) return Buffer.from(data, 'base64')
  throw requestInvalid(`multipart_form_data: data of the file "${name}" is not base64.`)
}

/** An answer's body: base64 where that was asked for, the value of JSON, else text in the answer's charset. `redact` takes secrets out of a text. */
export function answerData(
  body: Uint8Array,
  contentType: string | undefined,
  asBase64: boolean,
  redact: (text: string) => string,
): unknown {
  const clean = withoutSecrets(body, redact)
  return asBase64 ? clean.toString('base64') : textData(decoded(clean, contentType), contentType)
}

/** Replaces secrets byte by byte, so that everything else stays as it was, in whatever encoding. */
export const withoutSecrets = (body: Uint8Array, redact: (text: string) => string): Buffer =>
  Buffer.from(redact(Buffer.from(body).toString('latin1')), 'latin1')

/** The value of a text that says it is JSON and is, else the text. */
export function textData(text: string, contentType: string | undefined): unknown {
  if (!/[/+]json\s*(;|$)/i.test(contentType ?? '')) return text
  try {
    return JSON.parse(text)
  } catch {
    // Providers answer HTML and nothing under this name; the caller sees what came.
    return text
  }
}

function decoded(bytes: Uint8Array, contentType: string | undefined): string {
  const charset = /;\s*charset="?([\w:.-]+)/i.exec(contentType ?? '')?.[1] ?? 'utf-8'
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    // That is how the platform says that it does not know the charset.
    return new TextDecoder().decode(bytes)
  }
}
