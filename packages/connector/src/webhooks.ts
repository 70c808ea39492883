/** What proving the webhooks of any provider needs. Every comparison takes the same time, whatever is wrong. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

export type ProofEncoding = 'hex' | 'base64' | 'base64url'

export interface HmacOptions {
  readonly secret: string
  /** What is signed: the raw body, where the provider signs nothing else. */
  readonly bytes: Uint8Array | string
  readonly encoding: ProofEncoding
  /** Default `sha256`. */
  readonly hash?: 'sha1' | 'sha256' | 'sha512'
}

/** The HMAC as the provider writes it; base64url without padding. */
export const hmacText = ({ secret, bytes, encoding, hash = 'sha256' }: HmacOptions): string =>
  createHmac(hash, secret).update(bytes).digest(encoding)

/**
 * True when `given`, a header's value, is the HMAC. The letters of a hexadecimal one may be capital. Never throws: no value, or one of any length and
 * letters, is simply none.
 */
export function hmacMatches({ given, ...options }: HmacOptions & { readonly given: string | undefined }): boolean {
  return secretMatches(options.encoding === 'hex' ? given?.toLowerCase() : given, hmacText(options))
}

/** True when `given` is the secret text. Digests are compared, so that not even the secret's length shows. Never throws. */
export function secretMatches(given: string | undefined, secret: string): boolean {
  return timingSafeEqual(digest(given ?? ''), digest(secret)) && given !== undefined
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
