const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** 32-bit hash of a string (FNV-1a with a murmur finalizer); the same on every machine, not for secrets. */
export function hash32(text: string, salt = 0): number {
  let h = (0x811c9dc5 ^ salt) >>> 0
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** 24 base58 characters derived from a text through four cross-fed 32-bit lanes: not for secrets, cheap enough for 200,000 records at start. */
export function base58Id(text: string): string {
  let a = 1779033703
  let b = 3144134277
  let c = 1013904242
  let d = 2773480762
  for (let i = 0; i < text.length; i++) {
    const k = text.charCodeAt(i)
    a = b ^ Math.imul(a ^ k, 597399067)
    b = c ^ Math.imul(b ^ k, 2869860233)
    c = d ^ Math.imul(c ^ k, 951274213)
    d = a ^ Math.imul(d ^ k, 2716044179)
  }
  a = Math.imul(c ^ (a >>> 18), 597399067)
  b = Math.imul(d ^ (b >>> 22), 2869860233)
  c = Math.imul(a ^ (c >>> 17), 951274213)
  d = Math.imul(b ^ (d >>> 19), 2716044179)
  const e = Math.imul(a ^ b ^ c ^ d, 0x9e3779b1)
  return digits(a) + digits(b) + digits(c) + digits(d) + digits(e ^ (e >>> 15)).slice(0, 4)
}

/** Five base58 digits of 32 bits. */
function digits(bits: number): string {
  let value = bits >>> 0
  let out = ''
  for (let i = 0; i < 5; i++) {
    out += ALPHABET.charAt(value % 58)
    value = Math.floor(value / 58)
  }
  return out
}

/**
 * Kombo id of a record, from integration and remote id only. The model does not enter, so that, as at Kombo, records of two
 * models with the same remote id have the same id.
 */
export function komboId(integrationId: string, remoteId: string): string {
  return base58Id(`${integrationId}|${remoteId}`)
}
