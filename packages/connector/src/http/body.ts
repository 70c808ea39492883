import { TidemarkError } from '@tidemark/base'

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
