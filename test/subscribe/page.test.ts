import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  changesTopic,
  childModels,
  DEAD_LETTERS_TOPIC,
  MODEL_NAMES,
  SYNCS_TOPIC,
  snapshotsTopic,
  topicPlans,
} from '@tidemark/model'
import { expect, it } from 'vitest'
import { DOCS, ROOT } from './programs.ts'

const page = readFileSync(join(DOCS, 'README.md'), 'utf8')

interface Field {
  readonly name: string
  readonly type: unknown
  readonly doc?: string
}

const schema = JSON.parse(readFileSync(join(ROOT, 'schemas/envelopes/change.avsc'), 'utf8')) as { fields: Field[] }
const field = (name: string): Field => schema.fields.find((found) => found.name === name) as Field
const causeFields = (field('cause').type as { fields: Field[] }).fields

/** Names in the first column of the table under a heading. */
function firstColumn(heading: string): string[] {
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return section.split('\n').flatMap((line) => {
    const cell = line.startsWith('|') ? line.split('|')[1] : undefined
    return [...(cell ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] as string)
  })
}

it('names every field of a change, and no other', () => {
  const named = [...new Set(firstColumn('What a change holds').filter((name) => !OPS.includes(name)))]
  const expected = [
    ...schema.fields.map(({ name }) => name).filter((name) => name !== 'cause'),
    ...causeFields.map(({ name }) => `cause.${name}`),
  ]
  expect(named.sort()).toEqual(expected.sort())
})

const OPS = ['created', 'updated', 'deleted', 'restored', 'anonymized', 'merged', 'purged']

it('explains every op that the schema names', () => {
  expect(field('op').doc?.split(', ').sort()).toEqual([...OPS].sort())
  expect(firstColumn('What a change holds')).toEqual(expect.arrayContaining(OPS))
})

it('names the models, the children and what the topics keep', () => {
  for (const model of MODEL_NAMES) expect(page).toContain(`\`${model}\``)
  const children = page
    .split('A child\n(')[1]
    ?.split(')')[0]
    ?.match(/[a-z-]{4,}/g)
  expect(children?.sort()).toEqual(MODEL_NAMES.flatMap((model) => childModels(model)).sort())
  const planOf = (name: string) => topicPlans({ partitions: 1 }).find((plan) => plan.name === name)
  expect(planOf(changesTopic('jobs'))).toMatchObject({ cleanup: 'delete', retentionMs: null })
  expect(planOf(snapshotsTopic('jobs'))).toMatchObject({ cleanup: 'compact' })
  expect(planOf(SYNCS_TOPIC)?.retentionMs).toBe(365 * 86_400_000)
  expect(planOf(DEAD_LETTERS_TOPIC)?.retentionMs).toBe(30 * 86_400_000)
})

it('links only to files that exist', () => {
  const links = [...page.matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1] as string)
  expect(links.length).toBeGreaterThan(5)
  for (const link of links) expect(() => readFileSync(join(DOCS, link)), link).not.toThrow(/ENOENT/)
})
