import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { copyField, copyLine, copySql } from './copy.ts'

describe('the text of a COPY', () => {
  it('quotes names and lists columns', () => {
    expect(copySql({ schema: 'p1', table: 'my "t"', columns: ['id', 'a b'] })).toBe(
      'COPY "p1"."my ""t""" ("id", "a b") FROM STDIN',
    )
    expect(copySql({ table: 't', columns: ['id'] })).toBe('COPY "t" ("id") FROM STDIN')
  })

  it.each([
    [null, '\\N'],
    ['\\N', '\\\\N'],
    ['\\.', '\\\\.'],
    ['a\tb\nc\rd\\', 'a\\tb\\nc\\rd\\\\'],
    [1.5, '1.5'],
    [true, 'true'],
    [new Uint8Array([0, 255]), '\\\\x00ff'],
    [['a"\\', null, ''], '{"a\\\\"\\\\\\\\",NULL,""}'],
    [[1, 2], '{"1","2"}'],
  ])('holds %j', (value, text) => {
    expect(copyField(value)).toBe(text)
  })

  it('is one line with a field per value, whatever the values hold', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constant(null)), { minLength: 1 }), (row) => {
        const line = copyLine(row)
        expect(line.indexOf('\n')).toBe(line.length - 1)
        expect(line.split('\t')).toHaveLength(row.length)
      }),
    )
  })
})
