import { parseTime } from '@tidemark/model'
import type { Row } from './reader.ts'
import { closed, items, pick } from './values.ts'

/** How a question is answered, with exactly the keys its type has; null when its type is not known. */
export function questionFormat(value: unknown): Record<string, unknown> | null {
  if (typeof value !== 'object' || value === null) return null
  const format = value as Row
  const type = format['type']
  switch (type) {
    case 'TEXT':
      return {
        type,
        display_type: closed('textDisplay', format['display_type']),
        max_length: whole(format['max_length']),
      }
    case 'NUMBER': {
      const display = closed('numberDisplay', format['display_type']) ?? 'FIELD'
      return { type, display_type: display, ...pick(format, 'min', 'max') }
    }
    case 'FILE':
      return {
        type,
        accepted_mime_types: format['accepted_mime_types'] ?? null,
        max_file_size_bytes: whole(format['max_file_size_bytes']),
      }
    case 'SINGLE_SELECT':
      return {
        type,
        display_type: closed('selectDisplay', format['display_type']),
        options: options(format['options']),
      }
    case 'MULTI_SELECT':
      return { type, options: options(format['options']) }
    case 'BOOLEAN':
    case 'DATE':
    case 'INFORMATION':
      return { type }
    default:
      return typeof type === 'string' ? { type: 'UNKNOWN', raw_question: format['raw_question'] ?? null } : null
  }
}

const whole = (value: unknown): number | null => (Number.isInteger(value) ? (value as number) : null)

/** Options of a select question in their order; one without a name is shown by its id. */
function options(value: unknown): object[] {
  return items(value)
    .toSorted((a, b) => Number(a['index'] ?? 0) - Number(b['index'] ?? 0))
    .map((option) => ({ ...pick(option, 'id', 'remote_id'), name: option['name'] ?? option['id'] }))
}

/** Options that a precondition asks for: of a yes/no question they are booleans. */
export function preconditionOptions(value: unknown): (string | boolean)[] | null {
  if (!Array.isArray(value)) return null
  const booleans = value.length > 0 && value.every((option) => option === 'true' || option === 'false')
  return booleans ? value.map((option) => option === 'true') : (value as string[])
}

/** An answer in the shape of its question's type; what does not fit that shape is passed as UNKNOWN. */
export function screeningAnswer(item: Row): object {
  const type = item['question_type']
  const answer = knownAnswer(type, item['answer'])
  const question = { remote_id: item['question_remote_id'] ?? null, title: item['question_title'] ?? '' }
  if (answer) return { answer, question: { ...question, type } }
  const given = item['answer'] ?? null
  // A question that the source itself calls UNKNOWN has its answer wrapped already.
  const isWrapped = type === 'UNKNOWN' && typeof given === 'object' && given !== null && 'raw' in given
  return { answer: isWrapped ? given : { raw: given }, question: { ...question, type: 'UNKNOWN' } }
}

interface Shape {
  /** Member of the answer that holds the value. */
  readonly key: string
  /** The value as it is sent; undefined when it does not fit. */
  readonly read: (value: unknown) => unknown
  readonly empty: unknown
}

const ofType =
  (type: 'string' | 'boolean' | 'number') =>
  (value: unknown): unknown =>
    typeof value === type ? value : undefined

function readDate(value: unknown): unknown {
  const ms = typeof value === 'string' ? parseTime(value) : undefined
  return ms === undefined ? undefined : new Date(ms).toISOString()
}

const readChoices = (value: unknown): unknown =>
  Array.isArray(value) && value.every((choice) => typeof choice === 'string') ? value : undefined

const SHAPES: Readonly<Record<string, Shape>> = {
  TEXT: { key: 'content', read: ofType('string'), empty: null },
  SINGLE_SELECT: { key: 'choice', read: ofType('string'), empty: null },
  MULTI_SELECT: { key: 'choices', read: readChoices, empty: [] },
  BOOLEAN: { key: 'checked', read: ofType('boolean'), empty: null },
  NUMBER: { key: 'number', read: ofType('number'), empty: null },
  DATE: { key: 'date', read: readDate, empty: null },
}

function knownAnswer(type: unknown, answer: unknown): object | null {
  const shape = Object.hasOwn(SHAPES, String(type)) ? SHAPES[String(type)] : undefined
  if (!shape) return null
  if (answer === null || answer === undefined) return { [shape.key]: shape.empty }
  if (typeof answer !== 'object' || !(shape.key in answer)) return null
  const value = (answer as Row)[shape.key]
  const read = value === null ? shape.empty : shape.read(value)
  return read === undefined ? null : { [shape.key]: read }
}
