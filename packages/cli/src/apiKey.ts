import { hashApiKey } from '@tidemark/api'

/** So many bytes that nobody can guess; node:crypto's randomBytes. */
export type SecureRandom = (bytes: number) => Buffer

/** A key, and what is kept of it. */
export interface NewApiKey {
  readonly key: string
  /** SHA-256 in hex. */
  readonly hash: string
}

const KEY_BYTES = 32

/** A new API key: `tm_` (so that it is recognized where it should not be, in a log or a repository) and 256 random bits in base64url. */
export function newApiKey(random: SecureRandom): NewApiKey {
  const key = `tm_${random(KEY_BYTES).toString('base64url')}`
  return { key, hash: hashApiKey(key) }
}
