import { describe, expect, it } from 'vitest'
import { checkCompatibility } from './compatibility.ts'

type Json = unknown
const field = (name: string, type: Json, byDefault?: Json): Json =>
  byDefault === undefined ? { name, type } : { name, type, default: byDefault }
const record = (fields: Json[], name = 'A', more: object = {}): Json => ({ type: 'record', name, fields, ...more })
const one = (type: Json, byDefault?: Json): Json => record([field('a', type, byDefault)])
const nested = (...fields: Json[]): Json => record(fields, 'N')
const enumOf = (symbols: string[], more: object = {}): Json => ({ type: 'enum', name: 'E', symbols, ...more })
const array = (items: Json): Json => ({ type: 'array', items })
const map = (values: Json): Json => ({ type: 'map', values })
const fixed = (size: number): Json => ({ type: 'fixed', name: 'F', size })
const decimal = (precision: number, scale: number): Json => ({
  type: 'bytes',
  logicalType: 'decimal',
  precision,
  scale,
})

/** Title, old schema, new schema, the new one reads the old one, the old one reads the new one. */
const CASES: readonly (readonly [string, Json, Json, boolean, boolean])[] = [
  ['nothing changed', one('int'), one('int'), true, true],
  ['a field with a default added', one('int'), record([field('a', 'int'), field('b', 'int', 0)]), true, true],
  ['a field without a default added', one('int'), record([field('a', 'int'), field('b', 'int')]), false, true],
  ['a field with a default removed', record([field('a', 'int'), field('b', 'int', 0)]), one('int'), true, true],
  ['a field without a default removed', record([field('a', 'int'), field('b', 'int')]), one('int'), true, false],
  ['a default added', one('int'), one('int', 1), true, true],
  ['a default changed', one('int', 1), one('int', 2), true, true],
  [
    'fields put in another order',
    record([field('a', 'int'), field('b', 'string')]),
    record([field('b', 'string'), field('a', 'int')]),
    true,
    true,
  ],
  ['a field renamed', one('int'), record([field('b', 'int')]), false, false],
  ['a field renamed with an alias', one('int'), record([{ name: 'b', type: 'int', aliases: ['a'] }]), true, false],
  ['documentation added', one('int'), record([{ name: 'a', type: 'int', doc: 'x' }], 'A', { doc: 'y' }), true, true],
  ['int to long', one('int'), one('long'), true, false],
  ['int to float', one('int'), one('float'), true, false],
  ['long to double', one('long'), one('double'), true, false],
  ['float to double', one('float'), one('double'), true, false],
  ['string to bytes', one('string'), one('bytes'), true, true],
  ['int to string', one('int'), one('string'), false, false],
  ['boolean to int', one('boolean'), one('int'), false, false],
  ['a record renamed', one('int'), record([field('a', 'int')], 'B'), false, false],
  ['a record renamed with an alias', one('int'), record([field('a', 'int')], 'B', { aliases: ['A'] }), true, false],
  ['a field made optional', one('string'), one(['null', 'string']), true, false],
  ['a field made required', one(['null', 'string']), one('string'), false, true],
  ['a union branch added', one(['null', 'string']), one(['null', 'string', 'int']), true, false],
  ['a union branch removed', one(['null', 'string', 'int']), one(['null', 'string']), false, true],
  ['union branches in another order', one(['null', 'string']), one(['string', 'null']), true, true],
  ['a union branch promoted', one(['null', 'int']), one(['null', 'long']), true, false],
  ['an enum symbol added', one(enumOf(['X'])), one(enumOf(['X', 'Y'])), true, false],
  ['an enum symbol removed', one(enumOf(['X', 'Y'])), one(enumOf(['X'])), false, true],
  [
    'an enum symbol added where the old enum has a default',
    one(enumOf(['X'], { default: 'X' })),
    one(enumOf(['X', 'Y'], { default: 'X' })),
    true,
    true,
  ],
  ['an enum turned into a string', one(enumOf(['X'])), one('string'), false, false],
  [
    'a nested field with a default added',
    one(nested(field('x', 'int'))),
    one(nested(field('x', 'int'), field('y', 'int', 0))),
    true,
    true,
  ],
  [
    'a nested field without a default added',
    one(nested(field('x', 'int'))),
    one(nested(field('x', 'int'), field('y', 'int'))),
    false,
    true,
  ],
  [
    'a nullable nested record grown by a field without a default',
    one(['null', nested(field('x', 'int'))]),
    one(['null', nested(field('x', 'int'), field('y', 'int'))]),
    false,
    true,
  ],
  [
    'a nullable nested record renamed',
    one(['null', nested(field('x', 'int'))]),
    one(['null', record([field('x', 'int')], 'M')]),
    false,
    false,
  ],
  ['an array item promoted', one(array('int')), one(array('long')), true, false],
  ['an array item of another type', one(array('int')), one(array('string')), false, false],
  [
    'an array of records grown by a default',
    one(array(nested(field('x', 'int')))),
    one(array(nested(field('x', 'int'), field('y', 'string', '')))),
    true,
    true,
  ],
  ['an array turned into a map', one(array('int')), one(map('int')), false, false],
  ['a map value promoted', one(map('int')), one(map('long')), true, false],
  ['a map value made optional', one(map('int')), one(map(['null', 'int'])), true, false],
  ['a fixed of another size', one(fixed(4)), one(fixed(8)), false, false],
  ['a logical type added', one('long'), one({ type: 'long', logicalType: 'timestamp-millis' }), true, true],
  ['a decimal of another scale', one(decimal(10, 2)), one(decimal(10, 3)), false, false],
  ['a decimal unchanged', one(decimal(10, 2)), one(decimal(10, 2)), true, true],
  [
    'a recursive record promoted',
    record([field('next', ['null', 'A'], null), field('v', 'int')]),
    record([field('next', ['null', 'A'], null), field('v', 'long')]),
    true,
    false,
  ],
]

const check = (mode: 'NONE' | 'BACKWARD' | 'FULL' | 'FULL_TRANSITIVE', candidate: Json, ...history: Json[]) =>
  checkCompatibility(
    mode,
    JSON.stringify(candidate),
    history.map((schema) => JSON.stringify(schema)),
  )

describe('Avro resolution', () => {
  it.each(CASES)('%s', (_title, old, next, backward, forward) => {
    expect(check('BACKWARD', next, old).compatible).toBe(backward)
    expect(check('BACKWARD', old, next).compatible).toBe(forward)
    expect(check('FULL', next, old).compatible).toBe(backward && forward)
    expect(check('FULL_TRANSITIVE', next, old).compatible).toBe(backward && forward)
    expect(check('NONE', next, old).compatible).toBe(true)
  })

  it.each([
    ['text that is not JSON', '{'],
    ['an unknown type', '{"type":"record","name":"A","fields":[{"name":"a","type":"nope"}]}'],
    ['a record without a name', '{"type":"record","fields":[]}'],
    ['a default of another type', JSON.stringify(one('int', 'x'))],
    ['a union default that is not of the first branch', JSON.stringify(one(['string', 'null'], null))],
    ['two fields of one name', JSON.stringify(record([field('a', 'int'), field('a', 'int')]))],
    ['two equal branches', JSON.stringify(one(['int', 'int']))],
    ['a default that the enum does not have', JSON.stringify(one(enumOf(['X'], { default: 'Z' })))],
  ])('refuses %s under every mode', (_title, text) => {
    for (const mode of ['NONE', 'BACKWARD', 'FULL', 'FULL_TRANSITIVE'] as const) {
      const verdict = checkCompatibility(mode, text, [])
      expect(verdict).toMatchObject({ compatible: false, problems: [expect.stringContaining('not valid Avro')] })
    }
  })
})

describe('the history', () => {
  const v1 = record([field('a', 'int', 0)])
  const v2 = record([field('b', 'int', 0)])
  const v3 = record([field('a', 'string', ''), field('b', 'int', 0)])

  it('counts as a whole only for the transitive mode', () => {
    expect(check('FULL', v3, v1, v2).compatible).toBe(true)
    expect(check('BACKWARD', v3, v1, v2).compatible).toBe(true)
    expect(check('FULL_TRANSITIVE', v3, v1, v2)).toEqual({
      compatible: false,
      problems: [
        'the new schema cannot read version 1: a: cannot read "int" as "string"',
        'version 1 cannot read the new schema: a: cannot read "string" as "int"',
      ],
    })
  })

  it('is satisfied when there is none', () => {
    for (const mode of ['NONE', 'BACKWARD', 'FULL', 'FULL_TRANSITIVE'] as const) {
      expect(check(mode, v1)).toEqual({ compatible: true })
    }
  })
})

describe('problems', () => {
  it('are all listed, each with version, direction and path', () => {
    const old = record([field('a', 'int'), field('n', ['null', nested(field('x', array('int')))])])
    const next = record([
      field('a', 'string'),
      field('b', 'int'),
      field('n', ['null', nested(field('x', array('boolean')))]),
    ])
    expect(check('FULL', next, old)).toEqual({
      compatible: false,
      problems: [
        'the new schema cannot read version 1: a: cannot read "int" as "string"',
        'the new schema cannot read version 1: b: the field is missing and has no default',
        'the new schema cannot read version 1: n.x[]: cannot read "int" as "boolean"',
        'version 1 cannot read the new schema: a: cannot read "string" as "int"',
        'version 1 cannot read the new schema: n.x[]: cannot read "boolean" as "int"',
      ],
    })
  })

  it('name the symbols an enum lacks', () => {
    expect(check('BACKWARD', one(enumOf(['X'])), one(enumOf(['X', 'Y', 'Z'])))).toMatchObject({
      problems: [expect.stringContaining('it lacks Y, Z')],
    })
  })
})
