/** Bitmap of delivered fields: bit i, least significant first, is the i-th field of the record's schema. */
export function encodeMask(fieldNames: readonly string[], delivered: ReadonlySet<string>): Uint8Array {
  const bits = new Uint8Array((fieldNames.length + 7) >> 3)
  fieldNames.forEach((name, i) => {
    if (delivered.has(name)) bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7))
  })
  return bits
}

/** True when the i-th field was delivered; `start` and `end` bound the bitmap in `buf`, start -1 means all were. */
export function isDelivered(buf: Uint8Array, start: number, end: number, i: number): boolean {
  if (start < 0) return true
  const at = start + (i >> 3)
  return at < end && ((buf[at] as number) & (1 << (i & 7))) !== 0
}

/** Names of the delivered fields, or undefined when all were. */
export function decodeMask(fieldNames: readonly string[], mask: Uint8Array | null): ReadonlySet<string> | undefined {
  if (mask === null) return undefined
  return new Set(fieldNames.filter((_, i) => isDelivered(mask, 0, mask.length, i)))
}
