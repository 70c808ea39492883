import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort, runTidemark, startTidemark, type TidemarkProcess } from '../harness/tidemark.ts'

let folder: string
let data: string
let config: string
let port: number
let tidemark: TidemarkProcess
let flags: string[]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-cli-'))
  data = join(folder, 'data')
  config = join(folder, 'config.yaml')
  writeFileSync(
    config,
    'sandbox: { jobs: 15, candidates: 60, applications: 120, debounce_ms: 100, actions_per_minute: 1200, first_sync_ms: 300 }\n',
  )
  port = await freePort()
  tidemark = startTidemark({ data, port, config })
  await tidemark.ready()
  flags = ['--config', config, '--port', String(port)]
})

afterAll(async () => {
  await tidemark.stop()
  rmSync(folder, { recursive: true, force: true })
})

interface Watched {
  readonly position: string
  readonly event_id: string
  readonly integration_id: string
  readonly model: string
  readonly id: string
  readonly version: number
  readonly op: string
  readonly changes: readonly { readonly path: string }[]
}

const linesOf = (stdout: string): Watched[] =>
  stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Watched)

/** A POST that announces a body of this size and waits for the answer before sending any of it. */
function announce(path: string, bytes: number): Promise<{ status: number | undefined; body: unknown }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path, method: 'POST', headers: { 'content-length': bytes } },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString()
        })
        response.on('end', () => {
          outgoing.destroy()
          resolve({ status: response.statusCode, body: JSON.parse(text) })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.flushHeaders()
  })
}

describe('tidemark', () => {
  it('watch prints changes for people, and ends at its limit', async () => {
    const { code, stdout, stderr } = await runTidemark(['watch', ...flags, '--limit', '5'])
    expect(stderr).toContain('watching')
    expect(code).toBe(0)
    const lines = stdout.trim().split('\n')
    expect(lines).toHaveLength(5)
    for (const line of lines) expect(line).toMatch(/^\d\d:\d\d:\d\d [+~^#&x-] [a-z-]+ +\S.*: \S/)
  })

  it('watch goes on behind the last event without gap or repetition', async () => {
    const nameOf = (c: Watched): string => `${c.model} ${c.id} ${c.version}`
    const read = async (...more: string[]): Promise<Watched[]> =>
      linesOf((await runTidemark(['watch', ...flags, '--json', ...more])).stdout)
    const first = await read('--from', 'earliest', '--limit', '40')
    // Between partitions there is no order, so what follows the twentieth is asked for generously.
    const rest = new Set((await read('--last-event-id', (first[19] as Watched).position, '--limit', '300')).map(nameOf))
    expect(rest.size).toBe(300)
    expect(first.slice(0, 20).filter((c) => rest.has(nameOf(c)))).toEqual([])
    expect(first.slice(20).filter((c) => !rest.has(nameOf(c)))).toEqual([])
  })

  it('watch filters by model, field and integration', async () => {
    const [any] = linesOf(
      (await runTidemark(['watch', ...flags, '--json', '--from', 'earliest', '--limit', '1'])).stdout,
    )
    const integration = (any as Watched).integration_id
    const { stdout } = await runTidemark([
      'watch',
      ...flags,
      '--json',
      '--model',
      'applications',
      '--field',
      'current_stage_id',
      '--integration',
      integration,
      '--limit',
      '2',
    ])
    const changes = linesOf(stdout)
    expect(changes).toHaveLength(2)
    for (const c of changes) {
      expect(c).toMatchObject({ model: 'applications', integration_id: integration })
      // A record that appears touches every field it has.
      if (c.op !== 'created') expect(c.changes.map((f) => f.path)).toContain('/current_stage_id')
    }
    const wrong = await runTidemark(['watch', ...flags, '--model', 'applicants'])
    expect(wrong.code).toBe(1)
    expect(wrong.stderr).toContain('applicants')
  })

  it('history tells every version of a record, with before, after and cause', async () => {
    const [changed] = linesOf(
      (
        await runTidemark([
          'watch',
          ...flags,
          '--json',
          '--model',
          'applications',
          '--field',
          'current_stage_id',
          '--limit',
          '1',
        ])
      ).stdout,
    )
    const { id, version } = changed as Watched
    // The feed comes from the log; the tables follow within moments.
    await expect
      .poll(
        async () =>
          (await runTidemark(['history', 'applications', id, ...flags, '--json'])).stdout.trim().split('\n').length,
        { timeout: 10_000 },
      )
      .toBeGreaterThanOrEqual(version)
    const { code, stdout } = await runTidemark(['history', 'applications', id, ...flags])
    expect(code).toBe(0)
    expect(stdout).toMatch(/v1 created/)
    expect(stdout).toMatch(/\/current_stage_id {2}\S+ -> \S+/)
    expect(stdout).toMatch(/raw \d+@\d+/)
    const missing = await runTidemark(['history', 'applications', 'nobody', ...flags])
    expect(missing.code).toBe(1)
    expect(missing.stderr).toContain('nobody')
  })

  it('status shows integrations, models and lag', async () => {
    const { code, stdout } = await runTidemark(['status', ...flags])
    expect(code).toBe(0)
    expect(stdout).toMatch(/\d+ records .*\d+ changes/)
    expect(stdout).toMatch(/candidates +\d+ present/)
    const json = await runTidemark(['status', ...flags, '--json'])
    expect(JSON.parse(json.stdout)).toMatchObject({ integrations: [{}, {}, {}] })
  })

  it('sync --full fetches everything and says how it went', async () => {
    const { code, stdout } = await runTidemark(['sync', '--full', ...flags])
    expect(stdout).toMatch(/SUCCEEDED, \d[\d,]* records observed, 0 failed/)
    expect(stdout.trim().split('\n')).toHaveLength(3)
    expect(code).toBe(0)
  })

  it('verify asks the running process', async () => {
    const { code, stdout } = await runTidemark(['verify', '--config', config, '--data', data])
    expect(stdout).toContain('verify: everything holds')
    expect(code).toBe(0)
  })

  it('up refuses a data directory that is in use, naming the process', async () => {
    const { code, stderr } = await runTidemark(['up', '--config', config, '--data', data, '--port', '0', '--no-feed'])
    expect(code).toBe(1)
    expect(stderr).toContain('DATA_DIRECTORY_LOCKED')
    expect(stderr).toContain(String(tidemark.child.pid))
  })

  it('up refuses a port that is taken, and leaves nothing behind', async () => {
    const server = createServer()
    const taken = await new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
    )
    const { code, stderr } = await runTidemark([
      'up',
      '--config',
      config,
      '--data',
      join(folder, 'other'),
      '--port',
      String(taken),
      '--no-feed',
    ])
    server.close()
    expect(stderr).toContain(`port: ${taken} on 127.0.0.1 is taken`)
    expect(code).toBe(1)
  })

  it.each([
    ['prot: 1', 'prot: unknown key'],
    ['sources: [{ name: k, connector: kobmo }]', 'there is no connector "kobmo"; known: kombo'],
    [
      'sources: [{ name: k, connector: kombo, base_url: "https://x.example", api_key: a, webhook_secret: b, integrations: ["a:b"], integratoins: [] }]',
      'integratoins',
    ],
  ])('up stops at a configuration that is wrong and names the key (%s)', async (text, message) => {
    const file = join(folder, 'wrong.yaml')
    writeFileSync(file, text)
    const { code, stderr } = await runTidemark([
      'up',
      '--config',
      file,
      '--data',
      join(folder, 'wrong'),
      '--port',
      '0',
      '--no-feed',
    ])
    expect(stderr).toContain('CONFIG_INVALID')
    expect(stderr).toContain(message)
    expect(code).toBe(1)
  })

  it('says what to do when nobody listens, and what commands there are', async () => {
    const nobody = await runTidemark(['status', '--port', String(await freePort())])
    expect(nobody.code).toBe(1)
    expect(nobody.stderr).toContain('npm start')
    const help = await runTidemark(['--help'])
    expect(help.code).toBe(0)
    for (const command of ['up', 'watch', 'history', 'status', 'verify', 'sync']) expect(help.stdout).toContain(command)
    expect((await runTidemark(['frobnicate'])).code).toBe(2)
  })

  it('refuses webhooks that are not signed, of unknown sources, or too large, in the same error body', async () => {
    const post = async (path: string, body: string): Promise<{ status: number; body: unknown }> => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      })
      return { status: response.status, body: await response.json() }
    }
    const envelope = {
      status: 'error',
      error: {
        code: expect.any(String) as string,
        title: expect.any(String) as string,
        message: expect.any(String) as string,
        log_url: null,
      },
    }
    expect(await post('/webhooks/sandbox', '{}')).toEqual({ status: 401, body: envelope })
    expect(await post('/webhooks/nobody', '{}')).toEqual({ status: 404, body: envelope })
    expect(await announce('/webhooks/sandbox', 5_100_000)).toEqual({ status: 413, body: envelope })
    expect(await post('/v1/nowhere', '{}')).toEqual({
      status: 404,
      body: { ...envelope, error: { ...envelope.error, code: null } },
    })
  })

  it('ends in order, goes on with the same company, and verifies offline', { timeout: 60_000 }, async () => {
    expect(await tidemark.stop()).toBe(0)
    const offline = await runTidemark(['verify', '--config', config, '--data', data, '--json'])
    expect(offline.code).toBe(0)
    const before = JSON.parse(offline.stdout) as { records: number; changes: number }
    tidemark = startTidemark({ data, port, config })
    await tidemark.ready()
    await expect
      .poll(async () => (await runTidemark(['verify', '--config', config, '--data', data])).code, { timeout: 20_000 })
      .toBe(0)
    const { stdout } = await runTidemark(['verify', '--config', config, '--data', data, '--json'])
    const after = JSON.parse(stdout) as { records: number; changes: number }
    // The company lived on while nobody looked; nothing of it was created anew.
    expect(after.records).toBeGreaterThanOrEqual(before.records)
    expect(after.records).toBeLessThan(before.records * 1.5)
  })
})

it('npm start shows the sync, then live changes, and what to try next', { timeout: 120_000 }, async () => {
  const main = join(import.meta.dirname, '../../packages/cli/src/main.ts')
  const child = spawn(
    process.execPath,
    [main, 'up', '--config', config, '--data', join(folder, 'live'), '--port', '0'],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } },
  )
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  await expect.poll(() => out, { timeout: 90_000 }).toMatch(/\d\d:\d\d:\d\d [+~-] /)
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
  expect(err).toMatch(/in sync: 33 listings of 3 integrations/)
  expect(err.match(/npx tidemark/g)).toHaveLength(3)
})
