import { createHash } from 'node:crypto'
import { jsonText } from '@tidemark/diff'
import { type AvroField, MODEL_NAMES, MODEL_SCHEMAS, type ModelName } from '@tidemark/model'
import { personalFields } from '@tidemark/projection'

/** A model's compared fields: those that stay, and those with personal data, which erasure empties. */
interface Compared {
  readonly lasting: readonly AvroField[]
  readonly personal: readonly AvroField[]
}

const COMPARED: ReadonlyMap<ModelName, Compared> = new Map(
  MODEL_NAMES.map((model) => {
    const personal = new Set(personalFields(model))
    const fields = MODEL_SCHEMAS[model].fields.filter((f) => f.diff !== 'ignore')
    return [
      model,
      { lasting: fields.filter((f) => !personal.has(f.name)), personal: fields.filter((f) => personal.has(f.name)) },
    ]
  }),
)

/** Bytes of each half of a digest. */
const HALF = 16

/**
 * A digest of what counts as a record's content: its fields without those that are carried but not compared. 32 bytes as a
 * latin1 string, so that a million of them fit into memory; the second half is that of the fields with personal data.
 */
export function contentDigest(model: ModelName, record: object | null): string {
  if (record === null) return ''
  const source = record as Readonly<Record<string, unknown>>
  const { lasting, personal } = COMPARED.get(model) as Compared
  return digestOf(lasting, source) + digestOf(personal, source)
}

/** The digest of the same content without its personal data. */
export function erasedDigest(model: ModelName, digest: string): string {
  if (digest === '') return ''
  return digest.slice(0, HALF) + digestOf((COMPARED.get(model) as Compared).personal, {})
}

function digestOf(fields: readonly AvroField[], source: Readonly<Record<string, unknown>>): string {
  const hash = createHash('sha1')
  for (const field of fields) {
    // The tables cannot hold U+0000; with it folded the same way here, one digest serves topics and tables.
    hash.update(foldNul(jsonText(field, field.type, source[field.name])))
    hash.update('\u0000')
  }
  return hash.digest().toString('latin1', 0, HALF)
}

/** U+0000, which in JSON text can only stand as an escape, as the tables hold it: U+FFFD. */
function foldNul(text: string): string {
  if (!text.includes('\\u0000')) return text
  return text.replace(/\\(?:u0000|.)/gs, (sequence) => (sequence === '\\u0000' ? '\ufffd' : sequence))
}
