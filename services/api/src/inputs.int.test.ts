import fastify, { type RouteOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ENDPOINTS } from './ats/endpoints.ts'
import { registerApi } from './index.ts'
import { ACME, makeCompany } from './testing/company.ts'
import { openWorld, type Served, type World } from './testing/harness.ts'

let world: World
let api: Served
let id: string
const headers = { 'x-integration-id': ACME }

beforeAll(async () => {
  world = await openWorld()
  const company = makeCompany(world.maker)
  id = company.id('jobs', 'j1')
  await world.fill(company.changes)
  await world.fill(makeCompany(world.maker, 'traffit:other').changes)
  api = await world.serve()
})
afterAll(() => world.close())

/** The answer must be a refusal of the input; its message is returned. */
async function refused(path: string, more: Record<string, string> = headers): Promise<string> {
  const { status, body } = await api.get(path, more)
  expect(body).toEqual({
    status: 'error',
    error: { code: 'PLATFORM.INPUT_INVALID', title: 'Input is invalid', message: expect.any(String), log_url: null },
  })
  expect(status).toBe(400)
  return body.error.message
}

describe('an unknown parameter', () => {
  test.each(Object.keys(ENDPOINTS))('is refused by the listing of %s, with the one that was meant', async (path) => {
    expect(await refused(`/v1/ats/${path}?updatedAfter=2026-01-01`)).toContain('Did you mean updated_after?')
    expect(await refused(`/v1/ats/${path}?included_deleted=true`)).toContain('the name is include_deleted')
    expect(await refused(`/v1/ats/${path}?limit=5`)).toMatch(/Known are .*as_of, .*remote_ids/)
  })

  test('is refused where another listing has it', async () => {
    expect(await refused('/v1/ats/tags?name_contains=a')).toContain('There is no parameter "name_contains" here.')
  })

  test.each([
    '/v1/check-api-key',
    '/v1/tools/ats',
    `/v1/integrations/${ACME}`,
    '/v1/status',
    '/v1/changes',
    '/v1/syncs/x',
    '/v1/records/jobs/x',
    '/v1/records/jobs/x/history',
  ])('is refused by %s', async (path) => {
    expect(await refused(`${path}?colour=red`)).toContain('There is no parameter "colour" here.')
  })

  test('is refused by force-sync, and nothing is asked for', async () => {
    const response = await fetch(`${api.url}/v1/force-sync?type=DELTA`, { method: 'POST', headers })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { code: 'PLATFORM.INPUT_INVALID' } })
    const again = await fetch(`${api.url}/v1/force-sync`, { method: 'POST', headers })
    expect(await again.json()).toMatchObject({ data: { already_queued: false } })
  })

  test('says less than that a key is needed, or another method', async () => {
    const closed = await world.serve({ apiKeys: [{ name: 'a', key: 'a' }] })
    expect((await closed.get('/v1/status?colour=red')).status).toBe(401)
    const response = await fetch(`${api.url}/v1/ats/jobs?colour=red`, { method: 'DELETE', headers })
    expect(response.status).toBe(405)
  })

  test('leaves those that are known, also in a HEAD request', async () => {
    expect((await api.get(`/v1/records/jobs/${id}/history?order=oldest&page_size=1`)).status).toBe(200)
    const known = await fetch(`${api.url}/v1/ats/jobs?ids=x&page_size=5`, { method: 'HEAD', headers })
    const unknown = await fetch(`${api.url}/v1/ats/jobs?idz=x`, { method: 'HEAD', headers })
    expect([known.status, unknown.status]).toEqual([200, 400])
  })

  test('can be told by every route: none is without its list', async () => {
    const app = fastify()
    const routes: RouteOptions[] = []
    app.addHook('onRoute', (route) => void routes.push(route))
    registerApi(app, world.deps)
    await app.ready()
    await app.close()
    const open = ['/healthz', '/readyz', '/metrics']
    const missing = routes.filter(
      ({ url, method, config }) =>
        ['GET', 'POST'].includes(String(method)) && !open.includes(url) && !config?.parameters,
    )
    expect(routes.length).toBeGreaterThan(40)
    expect(missing.map(({ method, url }) => `${method} ${url}`)).toEqual([])
  })
})

describe('a wrong value is refused in the envelope:', () => {
  test.each([
    ['page_size', ['0', '251', '-1', '1.5', 'ten', '']],
    ['updated_after', ['yesterday', '2026-13-01', '12', '']],
    ['remote_created_after', ['soon']],
    ['include_deleted', ['yes', '1', '']],
    ['ignore_unsupported_filters', ['maybe']],
    ['cursor', ['abc', '', 'eyJwYWdlIjoxMn0', Buffer.from('[1,"x"]').toString('base64url')]],
    ['ids', ['', ',']],
    ['statuses', ['OPEN,GONE']],
    ['visibilities', ['SECRET']],
  ])('%s', async (name, values) => {
    for (const value of values) expect(await refused(`/v1/ats/jobs?${name}=${value}`)).toContain(name)
  })

  test('a parameter that is given twice', async () => {
    expect(await refused('/v1/ats/jobs?page_size=1&page_size=2')).toContain('page_size is given 2 times')
  })

  test('a cursor of another integration, listing or filter', async () => {
    const { body } = await api.get('/v1/ats/jobs?page_size=1', headers)
    const cursor = encodeURIComponent(body.data.next)
    expect((await api.get(`/v1/ats/jobs?page_size=1&cursor=${cursor}`, headers)).status).toBe(200)
    const other = { 'x-integration-id': 'traffit:other' }
    expect(await refused(`/v1/ats/jobs?page_size=1&cursor=${cursor}`, other)).toContain('another query')
    expect(await refused(`/v1/ats/tags?page_size=1&cursor=${cursor}`)).toContain('another query')
    expect(await refused(`/v1/ats/jobs?status=OPEN&cursor=${cursor}`)).toContain('another query')
  })

  test.each(['ats/jobs?ids=a%00', `integrations/a%00`, 'records/jobs/%00', 'records/jobs/x/history?field=%00'])(
    'U+0000 in %s',
    async (path) => {
      expect(await refused(`/v1/${path}`)).toContain('U+0000')
    },
  )

  test('a missing integration', async () => {
    expect(await refused('/v1/ats/jobs', {})).toContain('X-Integration-Id')
  })

  test('a model that does not exist', async () => {
    expect(await refused('/v1/records/people/x')).toContain('"people" is not a model')
  })

  test('a body that is too large, or in another format', async () => {
    const post = async (type: string, body: string): Promise<number> => {
      const all = { ...headers, 'content-type': type }
      const response = await fetch(`${api.url}/v1/force-sync`, { method: 'POST', headers: all, body })
      expect(await response.json()).toMatchObject({ error: { code: 'PLATFORM.INPUT_INVALID', log_url: null } })
      return response.status
    }
    expect(await post('application/json', JSON.stringify({ type: 'x'.repeat(100_000) }))).toBe(413)
    expect(await post('application/xml', '<type/>')).toBe(415)
  })
})
