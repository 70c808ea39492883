import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { unwrittenIn } from '../src/testing/allWritten.ts'
import type { StandIn } from '../src/testing/standIn.ts'
import { newConnector, writeConnector } from './files.ts'

const ROOT = join(import.meta.dirname, '../../..')
const BIOME = join(ROOT, 'node_modules/.bin/biome')

/** Complete, or it does not compile. */
const ASKED: Readonly<Record<keyof StandIn, true>> = {
  ...{ options: true, integrationId: true, stream: true, secrets: true, neighbour: true, pointRead: true },
  ...{ forbiddable: true, referring: true, script: true, forbid: true, requests: true, tokens: true },
  ...{ webhooks: true, recordWebhook: true, close: true, lacks: true, row: true, serve: true },
}

/** What `work` gives for a folder with a connector of this name. */
function inFolder<T>(name: string, work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-connector-'))
  try {
    writeConnector(folder, name)
    return work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe('a new connector', () => {
  const files = newConnector('gondor')

  it('has the files that every connector has, under its own name', () => {
    const names = [
      'actions',
      'auth',
      'check',
      'client',
      'contract.test',
      'errors',
      'index',
      'mapping',
      'options',
      'page',
    ]
    const sources = [...names, 'pointReads', 'source', 'webhook'].map((name) => `src/${name}.ts`)
    expect(files.map(({ path }) => path)).toEqual(['README.md', 'package.json', ...sources, 'test/standIn.ts'])
    for (const { text } of files) expect(text).not.toMatch(/acme/i)
    expect(files.find(({ path }) => path === 'src/source.ts')?.text).toContain('new GondorClient(')
  })

  it('is valid TypeScript that imports what is there', () => {
    const paths = new Set(files.map(({ path }) => path))
    for (const { path, text } of files.filter((file) => file.path.endsWith('.ts'))) {
      expect(() => stripTypeScriptTypes(text)).not.toThrow()
      for (const [, imported] of text.matchAll(/from '(\.[^']+)'/g))
        expect(paths).toContain(join(dirname(path), imported as string))
    }
  })

  it('lists what is left to write', () => {
    const left = inFolder('gondor', (folder) => unwrittenIn(pathToFileURL(folder)))
    const files = left.map((what) => what.split(':')[0])
    expect(files.filter((file) => file !== 'test/standIn.ts')).toEqual([
      ...['src/client.ts', 'src/client.ts', 'src/errors.ts', 'src/mapping.ts', 'src/webhook.ts', 'src/webhook.ts'],
    ])
    expect(files.filter((file) => file === 'test/standIn.ts')).toHaveLength(7)
  })

  // Names sort before and after others among imports, and make lines long.
  it.each(['ant', 'zeta', 'x'.repeat(31)])('is in the style of the repository under the name %s', (name) => {
    const check = (folder: string) =>
      spawnSync(BIOME, ['check', '--error-on-warnings', `--config-path=${ROOT}`, folder], { encoding: 'utf8' })
    const { status, stdout, stderr } = inFolder(name, check)
    expect(status, stdout + stderr).toBe(0)
    expect(stderr + stdout).toMatch(/Checked 1\d files/)
  })

  it('names everything that the suite asks of a stand-in', () => {
    const text = files.find(({ path }) => path === 'test/standIn.ts')?.text
    for (const name of Object.keys(ASKED)) expect(text).toMatch(new RegExp(`\\b${name}\\b`))
  })

  it.each(['', 'Acme', '1st', 'a-b', '../x', 'constructor(', 'x'.repeat(40)])(
    'is not made under the name %j',
    (name) => {
      expect(() => newConnector(name)).toThrow(RangeError)
    },
  )
})
