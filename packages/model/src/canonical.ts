/**
 * Canonical JSON text: object keys in code point order, no spaces, well-formed Unicode (lone surrogates become U+FFFD),
 * -0 written as 0, undefined members left out. Equal content gives equal text. Throws RangeError on what JSON cannot hold.
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.toWellFormed())
    case 'number':
      if (!Number.isFinite(value)) throw new RangeError(`not a JSON number: ${value}`)
      return JSON.stringify(value === 0 ? 0 : value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      return value === null ? 'null' : canonicalComposite(value)
    default:
      throw new RangeError(`not a JSON value: ${typeof value}`)
  }
}

function canonicalComposite(value: object): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item === undefined ? null : item)).join(',')}]`
  const entries = new Map<string, unknown>()
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined) entries.set(key.toWellFormed(), member)
  }
  const keys = [...entries.keys()].sort(compareCodePoints)
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalJson(entries.get(key))}`).join(',')}}`
}

/** Orders well-formed strings as their UTF-8 bytes order: by code point, which UTF-16 order is not above U+FFFF. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) {
      const xs = x >= 0xd800 && x <= 0xdfff
      const ys = y >= 0xd800 && y <= 0xdfff
      if (xs !== ys) return xs ? 1 : -1
      return x - y
    }
  }
  return a.length - b.length
}
