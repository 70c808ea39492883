import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { runCli } from '../program.ts'

let folder: string
let url: string
let close: () => void
/** Status and body of the answer to a path; by default an empty page. */
let answers: Record<string, readonly [number, object]>

const refusal = (status: number, code: string): readonly [number, object] => [
  status,
  { status: 'error', error: { code, title: null, message: 'what happened', log_url: null } },
]

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-check-'))
  answers = {}
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '', 'http://x').pathname.replace('/v1/ats/', '')
    const [status, body] = answers[path] ?? [200, { status: 'success', data: { next: null, results: [] } }]
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  close = () => server.close()
})

afterEach(() => {
  close()
  rmSync(folder, { recursive: true, force: true })
})

async function check(...args: readonly string[]) {
  const file = join(folder, 'tidemark.yaml')
  writeFileSync(
    file,
    `sources:\n  - { name: main, connector: kombo, base_url: "${url}", api_key: key-of-kombo, webhook_secret: s, integrations: ["acme:1"] }\n`,
  )
  const out = { stdout: '', stderr: '' }
  const writer = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      out[name] += text
      return true
    },
  })
  const io = { stdout: writer('stdout'), stderr: writer('stderr'), env: { NO_COLOR: '1' } }
  return { code: await runCli(['node', 'tidemark', 'check', '--config', file, ...args], io), ...out }
}

it('says of every model whether it may be read', async () => {
  const { code, stdout } = await check()
  expect(code).toBe(0)
  expect(stdout).toMatch(/^acme:1 \(source main\)\n/)
  expect(stdout).toMatch(/ok +candidate-tags/)
  expect(stdout).not.toContain('key-of-kombo')
})

it('names what may not be read, and ends with 1', async () => {
  answers['tags'] = refusal(403, 'INTEGRATION.PERMISSION_MISSING')
  answers['notes'] = refusal(400, 'INTEGRATION.MODEL_NOT_AVAILABLE')
  const { code, stdout } = await check('main', '--json')
  expect(code).toBe(1)
  const [{ integration, models }] = JSON.parse(stdout) as [
    { integration: string; models: { model: string; ok: boolean }[] },
  ]
  expect(integration).toBe('acme:1')
  expect(models.filter(({ ok }) => !ok)).toMatchObject([
    { model: 'tags', missing: 'ats/tags' },
    { model: 'notes', missing: null, message: expect.stringContaining('MODEL_NOT_AVAILABLE') },
  ])
})

it('says once that the credentials are refused altogether', async () => {
  answers['jobs'] = refusal(401, 'PLATFORM.AUTHENTICATION_INVALID')
  const { code, stdout } = await check()
  expect(code).toBe(1)
  expect(stdout).toContain('PROVIDER_AUTHENTICATION')
})

it('names the sources that there are', async () => {
  const { code, stderr } = await check('other')
  expect(code).toBe(1)
  expect(stderr).toContain('There is no source "other"; the configuration has: main')
})
