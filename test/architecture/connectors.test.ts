import { globSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { CONNECTORS } from '../../packages/cli/src/runtime/connectors.ts'
import { TARGETS } from '../fuzz/targets.ts'

const ROOT = join(import.meta.dirname, '../..')
const names = globSync('packages/connectors/*/package.json', { cwd: ROOT }).map((path) => basename(dirname(path)))

it('finds the connectors', () => {
  expect(names.length).toBeGreaterThanOrEqual(4)
})

it.each(names)('%s can be configured, and its webhooks are fuzzed', (name) => {
  expect([...CONNECTORS.keys()], 'add it to CONNECTORS in packages/cli/src/runtime/connectors.ts').toContain(name)
  const fuzzed = TARGETS.map(({ connector }) => connector.name)
  expect(fuzzed, 'add it to TARGETS in test/fuzz/targets.ts').toContain(name)
})

it('there is no target and no name of a connector that is not there', () => {
  for (const name of [...CONNECTORS.keys(), ...TARGETS.map(({ connector }) => connector.name)])
    expect(names).toContain(name)
})
