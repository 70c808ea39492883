import {
  type AvroField,
  type AvroRecord,
  type AvroType,
  compareCodePoints,
  type FieldChange,
  isOptional,
  required,
} from '@tidemark/model'
import { jsonText } from './jsonText.ts'

/** All field changes between two canonical records of one schema, as `verify` recomputes them. */
export function diffRecords(
  schema: AvroRecord,
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
  tracked: ReadonlySet<string>,
): FieldChange[] {
  const out: FieldChange[] = []
  for (const field of schema.fields) {
    if (field.diff === 'ignore' && !tracked.has(field.name)) continue
    diffField(field, before[field.name], after[field.name], `/${field.name}`, out)
  }
  return out
}

/** Escapes one token of a JSON Pointer (RFC 6901). */
export function pointerToken(token: string): string {
  return /[~/]/.test(token) ? token.replaceAll('~', '~0').replaceAll('/', '~1') : token
}

/**
 * Appends the changes between two canonical values of one field.
 *
 * null to a value is `add`, a value to null `remove`, else `replace`. Objects and maps are compared by key, collections
 * marked `keyed` by that member, sets by element, other lists by position. In keyed collections and sets the pointer's
 * token is the key or the element itself, so that it means the same on both sides.
 */
export function diffField(field: AvroField, before: unknown, after: unknown, path: string, out: FieldChange[]): void {
  diffValue(field, field.type, before, after, path, out)
}

function diffValue(
  field: AvroField,
  type: AvroType,
  before: unknown,
  after: unknown,
  path: string,
  out: FieldChange[],
): void {
  if (before === null || after === null) {
    if (before !== after) out.push(leaf(field, type, before, after, path))
    return
  }
  if (isOptional(type)) {
    diffValue(field, type[1], before, after, path, out)
    return
  }
  if (typeof type === 'string' || type.type === 'long') {
    if (before !== after) out.push(leaf(field, type, before, after, path))
    return
  }
  switch (type.type) {
    case 'record':
      diffMembers(type.fields, before as Members, after as Members, path, out)
      break
    case 'map':
      diffMap(field, type.values, before as Members, after as Members, path, out)
      break
    case 'array':
      diffArray(field, type.items, before as unknown[], after as unknown[], path, out)
      break
  }
}

type Members = Readonly<Record<string, unknown>>

function leaf(field: AvroField, type: AvroType, before: unknown, after: unknown, path: string): FieldChange {
  return {
    path,
    op: before === null ? 'add' : after === null ? 'remove' : 'replace',
    before: before === null ? null : jsonText(field, type, before),
    after: after === null ? null : jsonText(field, type, after),
  }
}

function diffMembers(
  fields: readonly AvroField[],
  before: Members,
  after: Members,
  path: string,
  out: FieldChange[],
): void {
  for (const f of fields) diffValue(f, f.type, before[f.name], after[f.name], `${path}/${f.name}`, out)
}

function diffMap(
  field: AvroField,
  values: AvroType,
  before: Members,
  after: Members,
  path: string,
  out: FieldChange[],
): void {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort(compareCodePoints)
  for (const key of keys) {
    const a = key in before ? before[key] : null
    const b = key in after ? after[key] : null
    diffValue(field, values, a, b, `${path}/${pointerToken(key)}`, out)
  }
}

function diffArray(
  field: AvroField,
  items: AvroType,
  before: unknown[],
  after: unknown[],
  path: string,
  out: FieldChange[],
): void {
  const key = field.collection === 'keyed' ? field.key : undefined
  if (field.collection === 'set') {
    diffSet(before as string[], after as string[], path, out)
  } else if (key !== undefined && hasUniqueKeys(before, key) && hasUniqueKeys(after, key)) {
    diffKeyed(items, key, before as Members[], after as Members[], path, out)
  } else {
    for (let i = 0; i < Math.max(before.length, after.length); i++) {
      const [a, b] = [i < before.length ? before[i] : null, i < after.length ? after[i] : null]
      diffValue(item(items), items, a, b, `${path}/${i}`, out)
    }
  }
}

const item = (type: AvroType): AvroField => ({ name: 'item', type })

function diffSet(before: readonly string[], after: readonly string[], path: string, out: FieldChange[]): void {
  const a = new Set(before)
  const b = new Set(after)
  for (const element of [...new Set([...before, ...after])].sort(compareCodePoints)) {
    if (a.has(element) === b.has(element)) continue
    const text = JSON.stringify(element)
    const p = `${path}/${pointerToken(element)}`
    out.push(
      a.has(element)
        ? { path: p, op: 'remove', before: text, after: null }
        : { path: p, op: 'add', before: null, after: text },
    )
  }
}

function hasUniqueKeys(items: readonly unknown[], key: string): boolean {
  const keys = items.map((i) => (i as Members)[key])
  return !keys.includes(null) && new Set(keys).size === keys.length
}

function diffKeyed(
  items: AvroType,
  key: string,
  before: readonly Members[],
  after: readonly Members[],
  path: string,
  out: FieldChange[],
): void {
  const a = new Map(before.map((i) => [i[key] as string, i]))
  const b = new Map(after.map((i) => [i[key] as string, i]))
  for (const id of [...new Set([...a.keys(), ...b.keys()])].sort(compareCodePoints)) {
    diffValue(item(items), required(items), a.get(id) ?? null, b.get(id) ?? null, `${path}/${pointerToken(id)}`, out)
  }
}
