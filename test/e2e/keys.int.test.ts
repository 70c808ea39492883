import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort, runTidemark, startTidemark, type TidemarkProcess } from '../harness/tidemark.ts'

let folder: string
let config: string
let port: number
let tidemark: TidemarkProcess
let key: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-keys-'))
  config = join(folder, 'config.yaml')
  const made = JSON.parse((await runTidemark(['api-key', '--name', 'all', '--json'])).stdout)
  key = made.key
  const narrow = { name: 'narrow', key: 'a-key-that-stands-in-the-file', integrations: ['nobody:knows'] }
  writeFileSync(
    config,
    JSON.stringify({
      data: join(folder, 'data'),
      sandbox: { jobs: 5, candidates: 20, applications: 30, first_sync_ms: 100 },
      api_keys: [{ name: 'all', key: made.hash, write: true }, narrow],
      api: { rate_limit: { requests: 5, window_seconds: 2 } },
    }),
  )
  port = await freePort()
  tidemark = startTidemark({ data: join(folder, 'data'), port, config })
  await tidemark.ready()
})

afterAll(async () => {
  await tidemark.stop()
  rmSync(folder, { recursive: true, force: true })
})

const cli = (...args: readonly string[]) => runTidemark([...args, '--config', config, '--port', String(port)])

describe('a tidemark that knows hashes of keys only', () => {
  it('lets in whoever has the key, and nobody else', async () => {
    expect((await cli('status', '--key', key)).code).toBe(0)
    const without = await cli('status')
    expect([without.code, without.stderr.includes('PLATFORM.AUTHENTICATION_INVALID')]).toEqual([1, true])
    expect((await cli('status', '--key', 'tm_another')).code).toBe(1)
    const narrow = await cli('status', '--json', '--key', 'a-key-that-stands-in-the-file')
    expect(JSON.parse(narrow.stdout).integrations).toEqual([])
  })

  it('does what commands on its directory ask, without the key, for whoever may read the directory', async () => {
    const { code, stderr } = await cli('verify', '--data', join(folder, 'data'))
    expect(stderr).not.toContain('refused')
    expect(code).toBe(0)
    expect(statSync(join(folder, 'data', 'server.json')).mode & 0o777).toBe(0o600)
  })

  it('is waited for by commands that ask more often than it answers', async () => {
    const { code, stderr } = await cli('sync', '--full', '--key', key)
    expect(stderr).not.toContain('RATE_LIMIT')
    expect(code).toBe(0)
  })

  it('never shows a key', () => {
    expect(tidemark.stderr()).not.toContain(key)
    expect(tidemark.stderr()).not.toContain('a-key-that-stands-in-the-file')
  })
})
