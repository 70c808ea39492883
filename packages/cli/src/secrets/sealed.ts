/**
 * Sealed values: `sealed:v1:` and, in base64url, the id of the key (6 bytes), the nonce (12), the ciphertext and the tag (16) of AES-256-GCM.
 * Version and key id are authenticated too.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { TidemarkError } from '@tidemark/base'
import type { SecureRandom } from '../apiKey.ts'
import { KEY_ID_BYTES, KEY_VARIABLE, type Keyring, OLD_KEYS_VARIABLE, type SecretKey } from './keys.ts'

const MARK = 'sealed:'
const VERSION = `${MARK}v1:`
const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const ENVELOPE_BYTES_MIN = KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES

/** True for a text that says it is sealed, whether or not it can be unsealed. */
export const isSealed = (text: string): boolean => text.startsWith(MARK)

/** Seals a text. `random` must be unpredictable: a nonce that comes twice under one key gives both values away. */
export function seal(text: string, { id, key }: SecretKey, random: SecureRandom): string {
  const keyId = Buffer.from(id, 'hex')
  const nonce = random(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(authenticated(keyId))
  const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return `${VERSION}${Buffer.concat([keyId, nonce, ciphertext, cipher.getAuthTag()]).toString('base64url')}`
}

/**
 * The text that was sealed. Throws CONFIG_INVALID, saying what is wrong and what to do: another version, a key that is not there (with its id), a
 * damaged text. Never repeats anything of it.
 */
export function unseal(sealed: string, keyring: Keyring): string {
  const envelope = envelopeOf(sealed)
  const keyId = envelope.subarray(0, KEY_ID_BYTES)
  const key = keyring.byId.get(keyId.toString('hex'))
  if (!key)
    throw invalid(
      `is sealed with the key ${keyId.toString('hex')}, which is not there: ${KEY_VARIABLE} is the key ${keyring.current.id}; ` +
        `put the other one into ${OLD_KEYS_VARIABLE}, or seal the value again`,
    )
  const nonce = envelope.subarray(KEY_ID_BYTES, KEY_ID_BYTES + NONCE_BYTES)
  const decipher = createDecipheriv(CIPHER, key.key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(authenticated(keyId))
  decipher.setAuthTag(envelope.subarray(-TAG_BYTES))
  const ciphertext = envelope.subarray(KEY_ID_BYTES + NONCE_BYTES, -TAG_BYTES)
  try {
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString('utf8')
  } catch {
    // All that the platform says is that the tag does not fit.
    throw damaged()
  }
}

/** Id of the key that a value is sealed with. Throws as {@link unseal}. */
export const keyIdOf = (sealed: string): string => envelopeOf(sealed).subarray(0, KEY_ID_BYTES).toString('hex')

const authenticated = (keyId: Buffer): Buffer => Buffer.concat([Buffer.from(VERSION), keyId])

function envelopeOf(sealed: string): Buffer {
  if (!sealed.startsWith(VERSION))
    throw invalid(`is sealed in a form that this tidemark does not know: it reads ${VERSION}…; seal the value again`)
  // A block of YAML ends with a line break.
  const text = sealed.slice(VERSION.length).trimEnd()
  const envelope = Buffer.from(text, 'base64url')
  if (envelope.toString('base64url') !== text || envelope.length < ENVELOPE_BYTES_MIN) throw damaged()
  return envelope
}

const damaged = (): TidemarkError =>
  invalid('is sealed, but damaged: it was cut or changed since; copy all of it once more, or seal the value again')

const invalid = (problem: string): TidemarkError => new TidemarkError('CONFIG_INVALID', problem)
