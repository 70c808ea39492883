const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** The first `length` base58 digits (Bitcoin alphabet) of a hash, most significant byte first, by modulus over its value. */
export function base58(bytes: Uint8Array, length: number): string {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  let out = ''
  for (let i = 0; i < length; i++) {
    out = ALPHABET[Number(value % 58n)] + out
    value /= 58n
  }
  return out
}
