/** Requests that are sent on to the simulated native APIs, by a tidemark as a newcomer starts it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort, startTidemark, type TidemarkProcess } from '../harness/tidemark.ts'

let folder: string
let port: number
let tidemark: TidemarkProcess

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-passthrough-'))
  const config = join(folder, 'config.yaml')
  const sandbox = { providers: ['traffit', 'hrworks'], jobs: 5, candidates: 20, applications: 30, first_sync_ms: 100 }
  writeFileSync(config, JSON.stringify({ data: join(folder, 'data'), sandbox }))
  port = await freePort()
  tidemark = startTidemark({ data: join(folder, 'data'), port, config })
  await tidemark.ready()
})
afterAll(async () => {
  await tidemark.stop()
  rmSync(folder, { recursive: true, force: true })
})

interface Answered {
  readonly data: {
    readonly url: string
    readonly status: number
    readonly headers: Record<string, string>
    data: unknown
  }
  readonly error?: { readonly code: string }
}

async function send(to: string, integration: string, body: object): Promise<[number, Answered]> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/passthrough/${to}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-integration-id': integration },
    body: JSON.stringify(body),
  })
  return [response.status, (await response.json()) as Answered]
}

describe('a tidemark over the sandbox sends on', () => {
  it('what is asked of TRAFFIT, with its paging in headers', async () => {
    const headers = { 'x-request-page-size': '2' }
    const [status, { data }] = await send('traffit/v2', 'traffit:sandbox', {
      method: 'GET',
      path: '/employees/',
      headers,
    })
    expect([status, data.status]).toEqual([200, 200])
    expect(data.url).toMatch(/\/api\/integration\/v2\/employees\/$/)
    expect(data.headers['x-result-page-size']).toBe('2')
    expect(data.data).toHaveLength(2)
  })

  it('what is asked of HR WORKS, also what it does not have', async () => {
    const [status, { data }] = await send('hrworks/v2', 'hrworks:sandbox', { method: 'GET', path: '/nothing' })
    expect([status, data.status]).toEqual([200, 404])
  })

  it('nothing to an address beside the API, and shows no secret of the source', async () => {
    const token = { method: 'POST', path: '/../../oauth2/token', data: {} }
    const [status, { error }] = await send('traffit/v2', 'traffit:sandbox', token)
    expect([status, error?.code]).toEqual([400, 'PLATFORM.INPUT_INVALID'])
    // It registers its webhooks once it is up.
    const webhooks = async (): Promise<string> => {
      const [, { data }] = await send('traffit/v2', 'traffit:sandbox', { method: 'GET', path: '/webhooks/' })
      return JSON.stringify(data)
    }
    await expect.poll(webhooks, { timeout: 10_000 }).toContain('secret=***')
  })
})
