import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MODEL_NAMES, MODEL_SCHEMAS } from '@tidemark/model'
import { beforeAll, describe, expect, it } from 'vitest'
import { differences } from './compare.ts'
import { type Coverage, collectCoverage, hasContent, type Sight } from './coverage.ts'
import { COMPARED } from './expected.ts'
import { CONNECTORS, type ConnectorName } from './reading.ts'
import { renderCoverage } from './table.ts'

let coverages: ReadonlyMap<ConnectorName, Coverage>

beforeAll(async () => {
  coverages = await collectCoverage()
})

const coverageOf = (name: ConnectorName): Coverage => coverages.get(name) ?? expect.fail(`no coverage of ${name}`)

describe('docs/coverage.md', () => {
  it('is what the connectors deliver', () => {
    const committed = readFileSync(join(import.meta.dirname, '../../docs/coverage.md'), 'utf8')
    expect(committed, 'run `node test/coverage/main.ts` and commit docs/coverage.md').toBe(renderCoverage(coverages))
  })

  it('has every field of every model', () => {
    const text = renderCoverage(coverages)
    for (const model of MODEL_NAMES) {
      const section = text.split(`## ${model}\n`)[1]?.split('\n## ')[0] ?? ''
      const rows = [...section.matchAll(/^\| `(\w+)`/gm)].map(([, field]) => field)
      expect(rows).toEqual(MODEL_SCHEMAS[model].fields.map(({ name }) => name))
    }
  })
})

describe('coverage', () => {
  it.each(CONNECTORS)('of %s has something of every model that it claims', (name) => {
    for (const [model, fields] of coverageOf(name)) expect([...fields.values()], model).toContain('value')
  })

  it.each(COMPARED)('of %s is what is expected, but for what is named', (name) => {
    expect(differences(name, coverageOf(name))).toEqual([])
  })

  it('that lacks a field, has another or an exception too many is told', () => {
    const coverage = new Map(
      [...coverageOf('hrworks')].map(([model, fields]) => [model, new Map<string, Sight>(fields)]),
    )
    coverage.get('users')?.delete('email')
    coverage.get('jobs')?.set('category', 'empty').set('job_code', 'fixture').set('custom_fields', 'value')
    coverage.get('users')?.delete('status')
    coverage.set('tags', new Map([['name', 'value']]))
    expect(differences('hrworks', coverage).sort()).toEqual([
      'hrworks: jobs.category is expected, not covered and no exception',
      'hrworks: jobs.custom_fields is an exception without need',
      'hrworks: jobs.job_code is covered, not expected and no addition',
      'hrworks: tags.name is covered, not expected and no addition',
      'hrworks: users.email is expected, not covered and no exception',
      'hrworks: users.status is an addition without need',
    ])
  })

  it.each([
    [null, false],
    [[], false],
    [{ city: null, parts: [] }, false],
    ['', false],
    [0, true],
    [false, true],
    [{ city: 'Bree' }, true],
  ])('of %j: %s', (value, expected) => {
    expect(hasContent(value)).toBe(expected)
  })
})
