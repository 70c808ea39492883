import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { unwrittenIn } from '../src/testing/allWritten.ts'
import type { StandIn } from '../src/testing/standIn.ts'
import { newConnector } from './files.ts'

/** Complete, or it does not compile. */
const ASKED: Readonly<Record<keyof StandIn, true>> = {
  ...{ options: true, integrationId: true, stream: true, secrets: true, neighbour: true, pointRead: true },
  ...{ forbiddable: true, referring: true, script: true, forbid: true, requests: true, tokens: true },
  ...{ webhook: true, recordWebhook: true, close: true },
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
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-connector-'))
    try {
      for (const { path, text } of files) {
        mkdirSync(dirname(join(folder, path)), { recursive: true })
        writeFileSync(join(folder, path), text)
      }
      const left = unwrittenIn(pathToFileURL(folder))
      expect(left.map((what) => what.split(':')[0])).toEqual([
        ...['src/check.ts', 'src/client.ts', 'src/errors.ts', 'src/mapping.ts', 'src/source.ts', 'src/webhook.ts'],
        ...Array.from({ length: 7 }, () => 'test/standIn.ts'),
      ])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
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
