/** Mapping is pure and total, and gives what the models have a place for. For tests only. */
import { MODEL_SCHEMAS, normalizeRecord, remoteKeyParts } from '@tidemark/model'
import { expect, it } from 'vitest'
import type { MappedRecord } from '../connector.ts'
import type { Rig } from './rig.ts'
import { ODD_ROWS, ODD_VALUES, pathsIn, replaced, withValue } from './rows.ts'

/** An id with everything that separates the parts of a key. */
const ODD_ID = 'a/b:c%d'

/** Members of a row that are taken away or replaced one by one, so deep, and at most so many. */
const DEPTH = 4
const MEMBERS_MAX = 150

export function mappingCases(rig: Rig): void {
  const membersOf = (): ReturnType<typeof pathsIn> => pathsIn(rig.standIn.row, DEPTH).slice(0, MEMBERS_MAX)

  it('makes a failure of each row that is no record, and maps its neighbour', async () => {
    const { row } = rig.standIn
    const alone = await rig.mapped([row])
    expect(alone.records.length, 'the stand-in needs a row that maps to a record').toBeGreaterThan(0)
    expect(alone.failures).toEqual([])
    const mapped = await rig.mapped([...ODD_ROWS, row])
    expect(mapped.failures).toHaveLength(ODD_ROWS.length)
    expect(mapped.records).toEqual(alone.records)
  })

  it('throws for no row, whatever stands in a member', async () => {
    const { row } = rig.standIn
    for (const path of membersOf()) {
      const rows = [...ODD_VALUES, undefined].map((value) => withValue(row, path, value))
      const { records } = await rig.mapped(rows).catch((error: unknown) => expect.fail(`${path.join('/')}: ${error}`))
      for (const record of records) expectKnownFields(record)
    }
  })

  it('delivers only what the provider delivers: what is absent is not null', async () => {
    const { row } = rig.standIn
    const { records: whole } = await rig.mapped([row])
    // A list without an entry is another list: it says that there is none.
    for (const path of membersOf().filter((one) => typeof one.at(-1) === 'string')) {
      const { records } = await rig.mapped([withValue(row, path, undefined)])
      expect(nulled(whole, records), `without ${path.join('/')}`).toEqual([])
    }
  })

  it('escapes the parts of its keys', async () => {
    const { row } = rig.standIn
    const { records: genuine } = await rig.mapped([row])
    const values = new Set(pathsIn(row, 2).map((path) => path.reduce<unknown>((of, name) => Object(of)[name], row)))
    for (const value of values)
      if (typeof value === 'number' || (typeof value === 'string' && value !== '')) {
        const { records } = await rig.mapped([replaced(row, value, ODD_ID)])
        for (const { model, remoteKey } of records) {
          const lengths = genuine.flatMap((one) => (one.model === model ? [remoteKeyParts(one.remoteKey).length] : []))
          expect(lengths, `${model} ${remoteKey}: make it with remoteKey(...)`).toContain(
            remoteKeyParts(remoteKey).length,
          )
          expect(remoteKey, `${model}: make it with remoteKey(...)`).not.toContain('/')
        }
      }
  })
}

/** Fields that had a value, and are null now. */
function nulled(before: readonly MappedRecord[], after: readonly MappedRecord[]): string[] {
  const known = new Map(before.map((one) => [`${one.model}/${one.remoteKey}`, one.record]))
  return after.flatMap(({ model, remoteKey, record }) => {
    const had = known.get(`${model}/${remoteKey}`) ?? {}
    const names = Object.keys(record).filter((name) => record[name] === null && (had[name] ?? null) !== null)
    return names.map((name) => `${model} ${name}`)
  })
}

/** A name that the model does not have is left out silently. */
export function expectKnownFields({ model, record }: MappedRecord): void {
  const known = MODEL_SCHEMAS[model].fields.map(({ name }) => name)
  for (const name of Object.keys(record)) expect(known, `${model} has no field ${name}`).toContain(name)
  // A function is no value: a word was looked up without Object.hasOwn.
  expect(() => structuredClone(record), `${model}: values are data`).not.toThrow()
}

/** A record of good data is one that the model takes. */
export function expectNormal(mapped: MappedRecord): void {
  expectKnownFields(mapped)
  const { model, remoteKey, record } = mapped
  expect(remoteKey).not.toBe('')
  expect(() => normalizeRecord(model, { id: 'x', ...record }), `${model} ${remoteKey}`).not.toThrow()
}
