import { TidemarkError } from '@tidemark/base'
import type { HttpAnswer } from './client.ts'

interface Bounds {
  readonly bytesMax: number
  readonly what: string
  readonly provider: string
}

/** A whole body. Throws PROVIDER_ANSWER_INVALID when it is larger than allowed, without reading on, and what the stream throws. */
export async function readBody(
  body: AsyncIterable<Uint8Array> & { destroy(): unknown },
  { bytesMax, what, provider }: Bounds,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const part of body) {
      bytes += part.byteLength
      if (bytes > bytesMax) break
      parts.push(part)
    }
  } catch (error) {
    if (!isTooLarge(error)) throw error
    bytes = bytesMax + 1
  }
  if (bytes <= bytesMax) return Buffer.concat(parts)
  body.destroy()
  throw new TidemarkError(
    'PROVIDER_ANSWER_INVALID',
    `${what}: the answer is larger than ${bytesMax} bytes and was not read further. Ask ${provider} which record is that large.`,
    { fields: { bytesMax } },
  )
}

const isTooLarge = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE'

/** A web page, by what it says it is, or by how it begins. */
function isHtml(headers: Readonly<Record<string, string>>, body: Uint8Array): boolean {
  if (/\bhtml\b/i.test(headers['content-type'] ?? '')) return true
  return /^\s*<(!doctype html|html)\b/i.test(Buffer.from(body.subarray(0, 200)).toString())
}

/** What came where JSON was expected, for messages: whoever reads of a web page looks for the login or the maintenance that shows it. */
export function insteadOfJson({ headers, body }: Pick<HttpAnswer, 'headers' | 'body'>): string {
  if (body.byteLength === 0) return 'an empty body'
  if (isHtml(headers, body)) return 'an HTML page (a login, or maintenance?) instead of JSON'
  return 'a body that is not JSON'
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The parsed body, or undefined for anything but JSON in UTF-8. That is no error here: load balancers answer in HTML or with nothing, and
 * the caller judges by status.
 */
export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(body))
  } catch {
    return undefined
  }
}
