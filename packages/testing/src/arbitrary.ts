import {
  type AvroField,
  type AvroType,
  MODEL_SCHEMAS,
  type ModelName,
  type Normalized,
  normalizeRecord,
  required,
} from '@tidemark/model'
import fc from 'fast-check'

/** Text with everything vendors send: empty, long, emoji, lone surrogates, quotes, slashes, integer-like. Not `__proto__`, which avsc (an oracle in tests) loses as a map key; ours has a test of its own. */
export const vendorText: fc.Arbitrary<string> = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.string({ unit: 'grapheme', maxLength: 30 }),
    fc.constantFrom('', '0', '1', '~', '/', '~1', '\ud800', 'a\udfffb', 'Ünïcödé 🧝', 'x'.repeat(70)),
  )
  // fast-check makes it on purpose, now and then.
  .filter((text) => text !== '__proto__')

const json: fc.Arbitrary<unknown> = fc.oneof(
  vendorText,
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.integer(), { maxLength: 3 }),
  fc.dictionary(vendorText, fc.oneof(fc.integer(), vendorText), { maxKeys: 3 }),
)

function value(type: AvroType, field: AvroField): fc.Arbitrary<unknown> {
  if (typeof type === 'string') {
    if (field.json && type === 'string') return json
    switch (type) {
      case 'string':
        return vendorText
      case 'boolean':
        return fc.boolean()
      case 'double':
        return fc.double({ noNaN: true, noDefaultInfinity: true })
      default:
        return fc.integer()
    }
  }
  const inner = required(type)
  if (inner !== type) return fc.option(value(inner, field), { nil: null })
  if (typeof inner === 'string') throw new RangeError('unreachable')
  if (inner.type === 'long') return fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 })
  if (inner.type === 'map') return fc.dictionary(vendorText, value(inner.values, field), { maxKeys: 4 })
  if (inner.type === 'array') return fc.array(value(inner.items, { name: 'item', type: inner.items }), { maxLength: 4 })
  return fc.record(
    Object.fromEntries(
      inner.fields.map((f) => [f.name, f.name === 'id' ? fc.constantFrom('a', 'b', 'c', 'd/e', '~') : member(f)]),
    ),
  )
}

function member(field: AvroField): fc.Arbitrary<unknown> {
  const type = required(field.type)
  const some = value(type, field)
  return type === field.type ? some : fc.option(some, { nil: null, freq: 3 })
}

/** Provider values for a model: every field present or null. `id` is fixed, as one record's is. */
export function recordInput(model: ModelName, id = 'H5daSm8e85Dmvmne3wLeCPhX'): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(
    Object.fromEntries(MODEL_SCHEMAS[model].fields.map((f) => [f.name, f.name === 'id' ? fc.constant(id) : member(f)])),
  )
}

/** A canonical record of a model. */
export function canonicalRecord(model: ModelName): fc.Arbitrary<Normalized> {
  return recordInput(model).map((input) => normalizeRecord(model, input))
}

/** Like {@link recordInput}, with some fields not delivered. */
export function partialInput(model: ModelName): fc.Arbitrary<Record<string, unknown>> {
  const optional = MODEL_SCHEMAS[model].fields.map((f) => f.name).filter((name) => name !== 'id')
  return fc
    .tuple(recordInput(model), fc.subarray(optional))
    .map(([input, absent]) => Object.fromEntries(Object.entries(input).filter(([name]) => !absent.includes(name))))
}
