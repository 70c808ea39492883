import { createHash } from 'node:crypto'
import { jsonText } from '@tidemark/diff'
import { type AvroField, MODEL_SCHEMAS, type ModelName } from '@tidemark/model'

const compared = new Map<ModelName, readonly AvroField[]>()

function comparedFields(model: ModelName): readonly AvroField[] {
  let fields = compared.get(model)
  if (fields === undefined) {
    fields = MODEL_SCHEMAS[model].fields.filter((f) => f.diff !== 'ignore')
    compared.set(model, fields)
  }
  return fields
}

/**
 * A digest of what counts as a record's content: its fields without those that are carried but not compared. 16 bytes as a
 * latin1 string, so that a million of them fit into memory.
 */
export function contentDigest(model: ModelName, record: object | null): string {
  if (record === null) return ''
  const source = record as Readonly<Record<string, unknown>>
  const hash = createHash('sha1')
  for (const field of comparedFields(model)) {
    // The tables cannot hold U+0000; with it folded the same way here, one digest serves topics and tables.
    hash.update(foldNul(jsonText(field, field.type, source[field.name])))
    hash.update('\u0000')
  }
  return hash.digest().toString('latin1', 0, 16)
}

/** U+0000, which in JSON text can only stand as an escape, as the tables hold it: U+FFFD. */
function foldNul(text: string): string {
  if (!text.includes('\\u0000')) return text
  return text.replace(/\\(?:u0000|.)/gs, (sequence) => (sequence === '\\u0000' ? '\ufffd' : sequence))
}
