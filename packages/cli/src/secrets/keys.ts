import { createHash, createSecretKey, type KeyObject } from 'node:crypto'
import { TidemarkError } from '@tidemark/base'
import type { SecureRandom } from '../apiKey.ts'

const KEY_BYTES = 32

/** So many bytes name a key: the first of its SHA-256, which tells nothing of 256 random bits. */
export const KEY_ID_BYTES = 6

export const KEY_VARIABLE = 'TIDEMARK_SECRET_KEY'
export const OLD_KEYS_VARIABLE = 'TIDEMARK_SECRET_KEY_OLD'

/** A key that seals values. It shows its id only. */
export interface SecretKey {
  /** 12 hex digits. */
  readonly id: string
  readonly key: KeyObject
}

/** The keys of an environment. */
export interface Keyring {
  /** Seals, and unseals. */
  readonly current: SecretKey
  /** Those that unseal, by id; the current one among them. */
  readonly byId: ReadonlyMap<string, SecretKey>
}

type Env = Readonly<Record<string, string | undefined>>

/** A new key, as it stands in the environment: 32 random bytes in base64. */
export const newSecretKey = (random: SecureRandom): string => random(KEY_BYTES).toString('base64')

/**
 * The keys of TIDEMARK_SECRET_KEY and, separated by commas, TIDEMARK_SECRET_KEY_OLD. Throws CONFIG_INVALID, without any of their text, when the
 * first is missing or one is not 32 bytes in base64.
 */
export function openKeyring(env: Env): Keyring {
  const text = env[KEY_VARIABLE]?.trim() ?? ''
  if (text === '')
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${KEY_VARIABLE} is not set; it must hold the key of sealed values (npx tidemark secret key makes one)`,
      { fields: { key: KEY_VARIABLE } },
    )
  const current = parseSecretKey(text, KEY_VARIABLE)
  const old = (env[OLD_KEYS_VARIABLE] ?? '').split(',').map((one) => one.trim())
  const others = old.filter((one) => one !== '').map((one) => parseSecretKey(one, OLD_KEYS_VARIABLE))
  return { current, byId: new Map([...others, current].map((one) => [one.id, one])) }
}

/** Throws CONFIG_INVALID. Base64 and base64url, with or without padding. */
export function parseSecretKey(text: string, name: string): SecretKey {
  const isBase64 = /^[A-Za-z0-9+/_-]+={0,2}$/.test(text)
  const bytes = isBase64 ? Buffer.from(text, 'base64') : undefined
  if (bytes?.length !== KEY_BYTES) {
    const found = bytes ? `${bytes.length} bytes` : 'something else than base64'
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${name}: a key is ${KEY_BYTES} bytes in base64, this is ${found}; npx tidemark secret key makes one`,
      { fields: { key: name } },
    )
  }
  const id = createHash('sha256')
    .update(bytes)
    .digest('hex')
    .slice(0, KEY_ID_BYTES * 2)
  return { id, key: createSecretKey(bytes) }
}
