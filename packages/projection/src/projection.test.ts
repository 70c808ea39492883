import type { Change } from '@tidemark/codec'
import { openCodec } from '@tidemark/codec'
import { MODEL_NAMES, MODEL_SCHEMAS, type ModelName, normalizeRecord } from '@tidemark/model'
import { memoryRegistry, recordInput } from '@tidemark/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  type CopyValue,
  changeToJson,
  collapse,
  deliveredColumns,
  effectiveChanges,
  fieldPointer,
  HISTORY_COLUMNS,
  migrations,
  type ProjectedChange,
  personalFields,
  pointerTokens,
  postgresJson,
  recordFromRow,
  recordToJson,
  TABLES,
  toCopyRows,
  toRows,
  touchedFields,
  touches,
} from './index.ts'
import { type ChangeMaker, createChangeMaker, type MadeChange } from './testing.ts'

let newMaker: () => ChangeMaker
let roundTrip: (made: MadeChange) => Change
beforeAll(async () => {
  const codec = await openCodec(memoryRegistry())
  newMaker = () => createChangeMaker(codec, { partitions: 3 })
  roundTrip = (made) => codec.decodeChange(made.model, made.value)
})

const project = (made: MadeChange, offset = 0): ProjectedChange =>
  toRows(made.model, made.change, made.recordKey, { partition: made.partition, offset })
const rowOf = (change: ProjectedChange): Record<string, unknown> => JSON.parse(change.row)

describe('records as JSON', () => {
  test('show times as ISO 8601 with milliseconds and parse what is JSON text', () => {
    const input = {
      id: 'j1',
      opened_at: 1,
      custom_fields: { b: { x: [1, null] }, a: 'text' },
      integration_fields: [{ id: 'f', key: 'k', type: 'CUSTOM', label: null, value: { deep: true } }],
      remote_data: { '/jobs': { n: 1.5 } },
    }
    const json = recordToJson('jobs', normalizeRecord('jobs', input).record)
    expect(json['opened_at']).toBe('1970-01-01T00:00:00.001Z')
    expect(json['closed_at']).toBeNull()
    expect(json['custom_fields']).toEqual({ a: 'text', b: { x: [1, null] } })
    expect(json['integration_fields']).toEqual([
      { id: 'f', key: 'k', type: 'CUSTOM', label: null, value: { deep: true } },
    ])
    expect(json['remote_data']).toEqual({ '/jobs': { n: 1.5 } })
    expect(Object.keys(json)).toEqual(MODEL_SCHEMAS.jobs.fields.map((field) => field.name))
  })

  test.each(MODEL_NAMES)('of %s can be turned back into the canonical record', (model) => {
    fc.assert(
      fc.property(recordInput(model), (input) => {
        const { record } = normalizeRecord(model, input)
        expect(recordFromRow(model, recordToJson(model, record))).toEqual(record)
      }),
      { numRuns: 20 },
    )
  })

  test('a changed JSON text is refused rather than embedded', () => {
    const made = newMaker().make('kombo:a', 'jobs', '1', { name: 'x' })
    const after = { ...made.change.after, remote_data: '{broken' } as never
    expect(() => changeToJson('jobs', { ...made.change, after } as never)).toThrow(SyntaxError)
  })
})

describe('text for PostgreSQL', () => {
  test('loses U+0000 and nothing that only looks like it', () => {
    const value = { 'k\u0000': 'a\u0000b', path: 'C:\\u0000', both: '\\\u0000' }
    expect(JSON.parse(postgresJson(JSON.stringify(value)))).toEqual({
      'k\ufffd': 'a\ufffdb',
      path: 'C:\\u0000',
      both: '\\\ufffd',
    })
  })

  test('is otherwise the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value)
        fc.pre(!text.includes('\\u0000'))
        expect(postgresJson(text)).toBe(text)
      }),
    )
  })
})

describe('field changes', () => {
  test('of a first sight add every field that holds a value, but those that are not compared', () => {
    const made = newMaker().make('kombo:a', 'jobs', '1', { name: 'Cook', remote_data: { x: 1 }, remote_updated_at: 5 })
    expect(effectiveChanges('jobs', made.change).map(({ path, op }) => `${op} ${path}`)).toEqual([
      'add /id',
      'add /remote_id',
      'add /name',
    ])
  })

  test('touch a pointer that is the place, inside it or around it', () => {
    expect(touches('/location/city', '/location')).toBe(true)
    expect(touches('/location', '/location/city')).toBe(true)
    expect(touches('/location', '/location')).toBe(true)
    expect(touches('', '/location')).toBe(true)
    expect(touches('/location_2', '/location')).toBe(false)
    expect(touches('/location', '/location_2')).toBe(false)
  })

  test('name fields unescaped and once', () => {
    const at = (path: string) => ({ path, op: 'add', before: null, after: null })
    expect(touchedFields([at('/a~1b/x'), at('/a~1b/y'), at('/c')])).toEqual(['a/b', 'c'])
    expect(pointerTokens(fieldPointer('a/b~'))).toEqual(['a/b~'])
    expect(fieldPointer('/location/city')).toBe('/location/city')
  })
})

describe('tables', () => {
  test('have a column for every field of every model, once', () => {
    for (const model of MODEL_NAMES) {
      const names = TABLES[model].columns.map((column) => column.name)
      expect(new Set(names).size).toBe(names.length)
      for (const field of MODEL_SCHEMAS[model].fields) expect(names).toContain(field.name)
    }
  })

  test('come from the same text every time, with the schema in every name', () => {
    expect(migrations('tidemark')).toEqual(migrations('tidemark'))
    const other = migrations('next').map(({ sql }) => sql.replaceAll('"next".', '"tidemark".'))
    expect(other.slice(1)).toEqual(
      migrations('tidemark')
        .slice(1)
        .map(({ sql }) => sql),
    )
  })

  test('know which fields hold personal data, also when the mark is inside of them', () => {
    expect(personalFields('candidates')).toEqual(
      expect.arrayContaining(['first_name', 'email_addresses', 'remote_data']),
    )
    expect(personalFields('candidates')).not.toContain('source')
    expect(personalFields('applications')).toContain('screening_question_answers')
    expect(personalFields('candidate-tags')).toEqual([])
    const marked = MODEL_NAMES.filter((model) => JSON.stringify(MODEL_SCHEMAS[model]).includes('"personal":true'))
    expect(MODEL_NAMES.filter((model) => personalFields(model).length > 0)).toEqual(marked)
  })

  test.each(['', 'A', '1a', 'pg_x', 'a"b', 'a'.repeat(52)])('cannot live in a schema named "%s"', (name) => {
    expect(() => migrations(name)).toThrow(/cannot name a projection/)
  })
})

describe('rows', () => {
  test('carry the identity, the state and where it came from', () => {
    const maker = newMaker()
    maker.make('kombo:a', 'candidates', '7', { first_name: 'Frodo' })
    const made = maker.make('kombo:a', 'candidates', '7', { first_name: 'Frodo', last_name: 'Baggins' })
    expect(rowOf(project(made, 41))).toMatchObject({
      record_key: 'kombo:a/candidates/7',
      integration_id: 'kombo:a',
      id: maker.idOf('kombo:a', 'candidates', '7'),
      remote_id: '7',
      version: 2,
      op: 'updated',
      last_name: 'Baggins',
      log_partition: made.partition,
      log_offset: 41,
    })
  })

  test('after a purge hold nothing but the identity and the mark of deletion', () => {
    const maker = newMaker()
    maker.make('kombo:a', 'candidates', '7', {
      first_name: 'Frodo',
      email_addresses: [{ email_address: 'f@shire.me' }],
    })
    const purged = project(maker.make('kombo:a', 'candidates', '7', null))
    expect(JSON.stringify(purged)).not.toMatch(/Frodo|shire/)
    expect(rowOf(purged)['remote_deleted_at']).toBe(rowOf(purged)['changed_at'])
  })

  test('are the same from a change and from its bytes', () => {
    const made = newMaker().make('kombo:a', 'jobs', '1', { name: 'Cook', custom_fields: { b: 1, a: [2] } })
    const decoded = toRows(made.model, roundTrip(made), made.recordKey, { partition: made.partition, offset: 0 })
    expect(decoded).toEqual(project(made))
  })
})

const model = fc.constantFrom<ModelName>('candidates', 'jobs', 'job-stages')
const step = fc.record({
  model,
  remote: fc.constantFrom('1:a', '2:b', '3:c'),
  integration: fc.constantFrom('kombo:a', 'kombo:b'),
  state: fc.constantFrom('alive', 'deleted', 'purged'),
  seed: fc.nat(5),
})

/** What a store does with rows: a newer version replaces an older one. */
function applyRows(table: Map<string, Record<string, unknown>>, texts: readonly string[]): void {
  for (const text of texts) {
    for (const row of JSON.parse(text) as Record<string, unknown>[]) {
      const known = table.get(String(row['record_key']))
      if (!known || Number(known['version']) < Number(row['version'])) table.set(String(row['record_key']), row)
    }
  }
}

describe('the fold of changes', () => {
  test('is the same at any batch boundary, and what the last change of each record says', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(3),
        (steps, size, again) => {
          const maker = newMaker()
          const made = steps.map((s) => {
            const deleted = s.state === 'deleted' ? 1000 : null
            const input =
              s.state === 'purged' ? null : { name: `n${s.seed}`, index: s.seed, remote_deleted_at: deleted }
            return maker.make(s.integration, s.model, s.remote, input)
          })
          const tables = new Map<string, Record<string, unknown>>()
          const history = new Set<string>()
          const counts = { records: 0, deleted: 0, changes: 0 }
          for (let at = 0; at < made.length; at += size) {
            const batch = collapse(
              made.slice(at, at + size).map((m) => project(m)),
              3,
            )
            // Writing a batch again changes nothing.
            for (let n = 0; n <= again; n++) for (const texts of batch.rows.values()) applyRows(tables, texts)
            for (const text of batch.history)
              for (const row of JSON.parse(text)) history.add(`${row.record_key} ${row.version}`)
            for (const count of JSON.parse(batch.counts)) {
              counts.records += count.records
              counts.deleted += count.deleted
              counts.changes += count.changes
            }
          }
          const last = new Map(made.map((m) => [m.recordKey, m]))
          expect(tables).toEqual(new Map([...last].map(([key, m]) => [key, rowOf(project(m))])))
          expect(history.size).toBe(made.length)
          const gone = [...last.values()].filter(
            ({ change: { after } }) => after === null || after.remote_deleted_at !== null,
          )
          expect(counts).toEqual({ records: last.size, deleted: gone.length, changes: made.length })
        },
      ),
      { numRuns: 150 },
    )
  })
})

describe('values for COPY', () => {
  /** A row of JSON as the values that PostgreSQL makes of it. */
  const valuesOf = (row: string, columns: readonly string[]): unknown[] => {
    const parsed = JSON.parse(row) as Record<string, unknown>
    return columns.map((name) => parsed[name] ?? null)
  }
  const read = (values: readonly CopyValue[], columns: readonly string[], json: ReadonlySet<string>): unknown[] =>
    values.map((value, i) => (value !== null && json.has(columns[i] as string) ? JSON.parse(value as string) : value))

  test.each(MODEL_NAMES)('of %s are what the JSON rows hold, over every kind of change', (model) => {
    const columns = deliveredColumns(model)
    const names = columns.map(({ name }) => name)
    const json = new Set(columns.filter(({ type }) => type === 'jsonb').map(({ name }) => name))
    fc.assert(
      fc.property(fc.array(fc.option(recordInput(model)), { minLength: 1, maxLength: 4 }), (states) => {
        const maker = newMaker()
        for (const [offset, state] of states.entries()) {
          const input = state && Object.fromEntries(Object.entries(state).filter(([n]) => !n.endsWith('id')))
          const made = maker.make('traffit:a', model, 'r:1', input)
          const change = roundTrip(made)
          const position = { partition: made.partition, offset }
          const { row, history, ...summary } = toRows(model, change, made.recordKey, position)
          const copied = toCopyRows(model, change, made.recordKey, position)
          expect(read(copied.row, names, json)).toEqual(valuesOf(row, names))
          expect(read(copied.history, HISTORY_COLUMNS, new Set(['changes', 'cause']))).toEqual(
            valuesOf(history, HISTORY_COLUMNS),
          )
          expect(copied).toMatchObject(summary)
        }
      }),
      { numRuns: 40 },
    )
  })
})
