import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { World } from '@tidemark/sandbox'
import { createTraffitSimulator, EVENT_TYPES, type TraffitSimulator } from '@tidemark/sandbox/traffit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { runCli } from '../program.ts'

const SECRET = 'secret-of-webhooks/4711'

let folder: string
let simulator: TraffitSimulator
let origin: string

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-subscriptions-'))
  const world = new World({ seed: 1, now: () => Date.now(), onMutation: () => undefined })
  const company = world.found({ jobs: 2, candidates: 2, applications: 2 }, 'traffit', 'traffit:acme')
  simulator = createTraffitSimulator({ company, rateLimit: null })
  origin = (await simulator.start()).origin
})

afterEach(async () => {
  await simulator.stop()
  rmSync(folder, { recursive: true })
})

async function run(args: readonly string[], more = 'public_url: https://tidemark.example.com/base/') {
  const config = join(folder, 'tidemark.yaml')
  const credentials = `client_id: ${simulator.clientId}, client_secret: "${simulator.clientSecret}", webhook_secret: "${SECRET}"`
  writeFileSync(
    config,
    `sources:
  - { name: acme, connector: traffit, base_url: "${origin}", ${credentials}, requests_per_second: 1000 }
  - { name: hub, connector: kombo, base_url: "https://k", api_key: key, webhook_secret: s, integrations: [] }
${more}
`,
  )
  const out = { stdout: '', stderr: '' }
  const writer = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      out[name] += text
      return true
    },
  })
  const io = { stdout: writer('stdout'), stderr: writer('stderr'), env: { NO_COLOR: '1' } }
  return { code: await runCli(['node', 'tidemark', 'subscriptions', '--config', config, ...args], io), ...out }
}

const URL_OF_ACME = 'https://tidemark.example.com/base/webhooks/acme'

it('has the provider send everything to the public URL, once, and removes it again', async () => {
  const first = await run(['acme'])
  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(first.stdout).toBe(`${URL_OF_ACME}: 12 webhooks were registered, 0 removed, 0 were there.\n`)
  const standing = simulator.subscriptions()
  expect(standing.map(({ type }) => type).sort()).toEqual([...EVENT_TYPES].sort())
  for (const { url } of standing) {
    expect(url.startsWith(`${URL_OF_ACME}?secret=`)).toBe(true)
    expect(new URL(url).searchParams.get('secret')).toBe(SECRET)
  }
  expect((await run(['acme'])).stdout).toContain('0 webhooks were registered, 0 removed, 12 were there')
  expect(simulator.subscriptions()).toEqual(standing)

  const removed = await run(['acme', '--remove', '--json'])
  expect(JSON.parse(removed.stdout)).toEqual({
    ...{ source: 'acme', url: URL_OF_ACME, action: 'remove', done: '12 webhooks were removed.' },
  })
  expect(simulator.subscriptions()).toEqual([])
  expect(await run(['acme', '--remove'])).toMatchObject({ code: 0, stdout: expect.stringContaining('0 webhooks were') })
})

it('leaves what sends elsewhere alone', async () => {
  await run(['acme'], 'public_url: https://staging.example.com')
  await run(['acme'])
  await run(['acme', '--remove'])
  const left = simulator.subscriptions().map(({ url }) => new URL(url).host)
  expect(left).toEqual(Array(12).fill('staging.example.com'))
})

it('fails with the reason where the provider refuses, and shows no secret', async () => {
  simulator.setScopes(['employee'])
  const { code, stdout, stderr } = await run(['acme'])
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(/PROVIDER_REFUSED.*scope `webhook`/)
  expect(stderr).not.toMatch(/4711/)
})

it.each([
  [['hub'], undefined, 'hub: webhooks of kombo sources are set up and removed by hand'],
  [['hub', '--remove'], 'port: 1', 'https://<your host>/webhooks/hub; see the README'],
  [['acme'], 'port: 1', 'public_url: it is not configured'],
  [['none'], undefined, 'There is no source "none"; the configuration has: acme, hub'],
] as const)('%j says what is missing (%#)', async (args, more, message) => {
  const { code, stdout, stderr } = await run(args, more)
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toContain('CONFIG_INVALID')
  expect(stderr).toContain(message)
  expect(simulator.requests).toBe(0)
})

it('needs the name of a source', async () => {
  expect((await run([])).code).toBe(2)
})
