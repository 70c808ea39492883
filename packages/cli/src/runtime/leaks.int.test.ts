/** Where the secrets of sources must never appear, asked of every connector that there is. */
import { globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom, systemClock, type TidemarkError } from '@tidemark/base'
import type { Connector, Source } from '@tidemark/connector'
import { drive, type Received, type Scripted, startScriptedServer } from '@tidemark/connector/contract'
import { RAW_TOPIC } from '@tidemark/model'
import { createLogger, type Logger } from '@tidemark/telemetry'
import { ManualClock } from '@tidemark/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseConfig } from '../config.ts'
import { type App, startApp } from './app.ts'
import { CONNECTORS } from './connectors.ts'

/** Options of each connector but for its base URL; secrets hold what a URL, a form and JSON write differently. */
const OPTIONS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  kombo: { api_key: 'api/key+of=kombo"\\', webhook_secret: 'webhook secret/of kombo', integrations: ['acme:1'] },
  traffit: {
    ...{ client_id: 'acme_tidemark', client_secret: 'client/secret+of=traffit"\\', requests_per_second: 1000 },
    ...{ webhook_secret: 'webhook/secret&of=traffit', integration: 'acme:1' },
  },
  hrworks: {
    ...{ access_key: 'access/key+of=hrworks', secret_access_key: 'secret/access+key=of"hrworks\\' },
    ...{ webhook_secret: 'webhook/secret&of=hrworks', integration: 'acme:1' },
  },
  knit: { api_key: 'api/key+of=knit"\\', second_api_key: 'second/api+key=of"knit', integrations: ['acme:1'] },
}

const encoded = (json: object): string => Buffer.from(JSON.stringify(json)).toString('base64url')

/** A token of a provider that gives tokens; HR WORKS' say when they expire. */
const TOKEN = [{ alg: 'none' }, { exp: 4_102_444_800 }, { token: 'of-this-test' }].map(encoded).join('.')

/** The answers of a provider that repeats everything it was sent, in every place where one of them explains a failure. */
function echo(status: number, { method, url, headers, body }: Received): Scripted {
  const text = `${method} ${url.href} ${JSON.stringify(headers)} ${body} ${decodeURIComponent(url.search)}`
  const said = { code: 'SAID', message: text, msg: text }
  return {
    status,
    headers: { 'x-echo': String(headers.authorization), ...(status === 429 ? { 'retry-after': '1' } : {}) },
    body: {
      ...{ status: 'error', success: false, error: { ...said, code: null } },
      ...{ error_description: text, message: text, errors: [said], generalErrors: [said] },
    },
  }
}

const STATUSES = [200, 400, 401, 403, 404, 409, 422, 429, 500, 503]

/** Everything that a source shows of its provider: what it throws, tells, and gives to be stored. */
async function everythingOf(
  source: Source,
  clock: ManualClock,
): Promise<{ shown: unknown[]; errors: TidemarkError[] }> {
  const { signal } = new AbortController()
  const shown: unknown[] = []
  const errors: TidemarkError[] = []
  const common = { integrationId: 'acme:1', signal, onRetry: (event: object) => shown.push(event) }
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      shown.push(await drive(clock, work(), 5000))
    } catch (error) {
      errors.push(error as TidemarkError)
    }
  }
  const collect = async (pages: AsyncIterable<{ readonly body: Uint8Array }>): Promise<void> => {
    for await (const page of pages) shown.push({ ...page, body: Buffer.from(page.body).toString() })
  }
  await attempt(() => source.checkAccess(common))
  for (const stream of source.streams) await attempt(() => collect(source.fetch({ ...common, stream })))
  for (const model of source.pointReads?.models ?? [])
    await attempt(
      async () => source.pointReads && collect(source.pointReads.read({ ...common, model, remoteKeys: ['1'] })),
    )
  const url = 'https://tidemark.example.com/webhooks/acme'
  await attempt(async () => source.subscriptions?.ensure({ ...common, url }))
  await attempt(async () => source.subscriptions?.remove({ ...common, url }))
  return { shown, errors }
}

/** How a secret may be written. */
const formsOf = (secret: string): string[] => [
  ...[secret, encodeURIComponent(secret), new URLSearchParams({ '': secret }).toString().slice(1)],
  ...[JSON.stringify(secret).slice(1, -1), JSON.stringify(JSON.stringify(secret).slice(1, -1)).slice(1, -1)],
]

function expectNone(secrets: readonly string[], texts: readonly string[]): void {
  for (const text of texts)
    for (const form of secrets.flatMap(formsOf)) {
      const at = text.indexOf(form)
      if (at >= 0) expect.unreachable(`${form} in ${text.slice(Math.max(0, at - 200), at + 200)}`)
    }
}

describe.each([...CONNECTORS.values()])('secrets of a source of $name', (connector: Connector) => {
  const options = OPTIONS[connector.name] ?? {}
  const secrets = [...connector.secretOptions.map((name) => String(options[name])), TOKEN]

  it('are all given to this test', () => {
    for (const name of connector.secretOptions) expect(options[name], name).toEqual(expect.any(String))
  })

  it.each([
    ['where the login is refused', false],
    ['where everything behind the login is refused', true],
  ])('come back from no provider that repeats them (%s)', async (_where, grantsTokens) => {
    let requests = 0
    let status = 200
    let failures = 0
    const server = await startScriptedServer((request) => {
      requests++
      const isLogin = /\/(oauth2\/token|authentication)$/.test(request.url.pathname)
      if (!isLogin || !grantsTokens) return echo(status, request)
      return { body: { access_token: TOKEN, token: TOKEN, expires_in: 3600 } }
    })
    const clock = new ManualClock()
    const lines: string[] = []
    const logger = createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } })
    const given = connector.parseOptions({ name: 'acme', ...options, base_url: server.origin })
    for (status of STATUSES) {
      const source = connector.create(given, { clock, random: seededRandom(1) })
      const { shown, errors } = await everythingOf(source, clock)
      expect(errors.length + shown.length, `what is told with ${status}`).toBeGreaterThan(0)
      failures += errors.length
      for (const error of errors) logger.warn({ err: error, source: 'acme', fields: error.fields }, error.message)
      const told = errors.flatMap((error) => [String(error.stack), JSON.stringify([error, String(error.cause)])])
      expectNone(secrets, [JSON.stringify(shown), ...told])
      // What the provider said besides is there: it was not left out altogether.
      if (status === 400) expect([JSON.stringify(shown), ...told].join()).toContain('***')
      await source.close()
    }
    expectNone(secrets, lines)
    expect(failures).toBeGreaterThan(STATUSES.length)
    expect(requests).toBeGreaterThan(STATUSES.length)
    await server.close()
  })
})

describe('secrets of sources that are read', () => {
  let data: string
  let app: App
  let lines: string[]
  let secrets: string[]

  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), 'tidemark-leaks-'))
    lines = []
    const text =
      'log_level: trace\nsandbox: {providers: [kombo, traffit, hrworks, knit], jobs: 3, candidates: 5, applications: 5, first_sync_ms: 0, debounce_ms: 0, actions_per_minute: 600}'
    const logger: Logger = createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } })
    const fatal = (error: unknown): void => expect.unreachable(String(error))
    app = await startApp(
      { ...parseConfig(text, 'tidemark.yaml', {}), data, port: 0 },
      {
        ...{ clock: systemClock, random: seededRandom(1), logger, signal: new AbortController().signal },
        ...{ services: new Set(['ingress'] as const), onFatal: fatal, onWaiting: fatal },
      },
    )
    secrets = (app.sandbox?.configs ?? []).flatMap((config) =>
      (CONNECTORS.get(config.connector)?.secretOptions ?? []).flatMap((name) => {
        const value = config[name]
        return typeof value === 'string' ? [value] : []
      }),
    )
  }, 60_000)

  afterAll(async () => {
    await app.stop()
    rmSync(data, { recursive: true })
  })

  async function raws(): Promise<string[]> {
    const { log } = app.backend
    const found: string[] = []
    for (let partition = 0; partition < app.config.partitions; partition++) {
      const { start, end } = await log.bounds(RAW_TOPIC, partition)
      for (let offset = start; offset < end; ) {
        const { records, nextOffset } = await log.fetch({ topic: RAW_TOPIC, partition, offset })
        for (const { value } of records) found.push((value as Buffer).toString('latin1'))
        offset = nextOffset
      }
    }
    return found
  }

  it('are in nothing that was stored or logged, of pages and webhooks of all four', { timeout: 60_000 }, async () => {
    const names = (app.sandbox?.configs ?? []).map(({ name }) => name)
    expect(names).toHaveLength(CONNECTORS.size)
    expect(secrets.length).toBeGreaterThan(CONNECTORS.size)
    const isThere = (all: readonly string[], name: string): boolean =>
      all.some((raw) => raw.includes(`/webhooks/${name}`)) &&
      (name === 'knit' || all.some((raw) => raw.includes('GET http')))
    let stored = await raws()
    // HR WORKS tells of applicants only, so it may take a while until each has sent something.
    while (!names.every((name) => isThere(stored, name)) || lines.length < 2) {
      await systemClock.sleep(200)
      stored = await raws()
    }
    expectNone(secrets, stored)
    // Requests for tokens are no pages.
    expect(stored.filter((raw) => /Bearer |oauth2\/token|\/authentication|access_token/.test(raw))).toEqual([])
    expect(lines.filter((line) => line.includes('webhooks were registered'))).toHaveLength(2)
    expectNone(secrets, lines)
    const files = globSync('**/*', { cwd: data }).map((file) => join(data, file))
    const bytes = files.filter((file) => statSync(file).isFile()).map((file) => readFileSync(file, 'latin1'))
    expect(bytes.some((text) => text.includes('traffit:sandbox'))).toBe(true)
    expectNone(secrets, bytes)
  })
})
