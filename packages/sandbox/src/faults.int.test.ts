import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Item, type Rig, startRig } from './testkit.ts'

let rig: Rig
beforeEach(async () => {
  rig = await startRig()
})
afterEach(() => rig.close())

const raw = (path: string): Promise<Response> =>
  fetch(`${rig.url}${path}`, { headers: { authorization: `Bearer ${rig.sandbox.apiKey}`, 'x-integration-id': rig.id } })

describe('faults', () => {
  it('429 with the seconds until the reset', async () => {
    rig.sandbox.faults.add({ kind: 'rate_limited', resetSeconds: 7, count: 2 })
    for (let i = 0; i < 2; i++) {
      const { status, body, headers } = await rig.get('/ats/jobs')
      expect([status, body.error.code]).toEqual([429, 'PLATFORM.RATE_LIMIT_EXCEEDED'])
      expect([headers.get('ratelimit-remaining'), headers.get('ratelimit-reset')]).toEqual(['0', '7'])
    }
    expect((await rig.get('/ats/jobs')).status).toBe(200)
  })

  it('500 in the error envelope', async () => {
    rig.sandbox.faults.add({ kind: 'server_error' })
    const { status, body } = await rig.get('/ats/jobs')
    expect([status, body.status, body.error.code]).toEqual([500, 'error', 'PLATFORM.UNKNOWN_ERROR'])
  })

  it('502 with HTML instead of JSON', async () => {
    rig.sandbox.faults.add({ kind: 'html_bad_gateway' })
    const response = await raw('/ats/jobs')
    expect([response.status, response.headers.get('content-type')]).toEqual([502, 'text/html'])
    expect(await response.text()).toContain('<html>')
  })

  it('200 with an empty body', async () => {
    rig.sandbox.faults.add({ kind: 'empty_body' })
    const response = await raw('/ats/jobs')
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
      ...[200, 'application/json; charset=utf-8', ''],
    ])
  })

  it('a connection that is cut before the headers', async () => {
    rig.sandbox.faults.add({ kind: 'cut_before_headers' })
    await expect(raw('/ats/jobs')).rejects.toThrow()
    expect((await raw('/ats/jobs')).status).toBe(200)
  })

  it('a connection that is cut in the middle of the body', async () => {
    rig.sandbox.faults.add({ kind: 'cut_mid_body' })
    await expect(raw('/ats/jobs').then((response) => response.text())).rejects.toThrow()
    expect((await raw('/ats/jobs')).status).toBe(200)
  })

  it('a page in the middle of a listing, and only there', async () => {
    rig.sandbox.faults.add({ kind: 'server_error', endpoint: 'candidates', integrationId: rig.id, page: 2 })
    expect((await rig.get('/ats/jobs?page_size=5')).status).toBe(200)
    const first = await rig.get('/ats/candidates?page_size=20')
    const second = `/ats/candidates?page_size=20&cursor=${encodeURIComponent(first.body.data.next)}`
    expect((await rig.get(second)).status).toBe(500)
    expect((await rig.get(second)).body.data.results).toHaveLength(20)
  })

  it('an answer that takes its time', async () => {
    rig.sandbox.faults.add({ kind: 'slow', delayMs: 60_000 })
    let done = false
    const answer = rig.get('/ats/jobs').finally(() => {
      done = true
    })
    while (rig.sandbox.stats.requests === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    await rig.clock.advance(59_999)
    expect(done).toBe(false)
    await rig.clock.advance(1)
    expect((await answer).status).toBe(200)
  })

  it('half a JSON text', async () => {
    rig.sandbox.faults.add({ kind: 'malformed_json' })
    const text = await (await raw('/ats/jobs')).text()
    expect(text.startsWith('{"status":"success"')).toBe(true)
    expect(() => JSON.parse(text)).toThrow()
  })

  it('one record that cannot be mapped among good ones', async () => {
    const { faults } = rig.sandbox
    faults.add({ kind: 'unmappable_record' })
    const dated = (await rig.get('/ats/applications')).body.data.results
    expect(dated[0].changed_at).toBe('0000-00-00T00:00:00.000Z')
    expect(dated[1].changed_at).not.toBe(dated[0].changed_at)
    faults.add({ kind: 'unmappable_record', field: 'candidate', value: 'a hobbit', index: 3 })
    const results = (await rig.get('/ats/applications')).body.data.results
    expect(results.map((each: Item) => typeof each.candidate).indexOf('string')).toBe(3)
  })

  it('are refused when they make no sense', () => {
    const { faults } = rig.sandbox
    expect(() => faults.add({ kind: 'earthquake' as never })).toThrow(/one of: rate_limited/)
    expect(() => faults.add({ kind: 'slow', delay: 5 } as never)).toThrow(/no property delay/)
    expect(() => faults.add({ kind: 'slow', delayMs: -1 })).toThrow(/delayMs/)
    expect(() => faults.add({ kind: 'sync_failed', syncState: 'OK' as never })).toThrow(/FAILED/)
  })

  it('can be added, listed and cleared over HTTP', async () => {
    const post = (body: string): Promise<Response> =>
      fetch(`${rig.origin}/sandbox/faults`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    const added = await post(
      JSON.stringify([
        { kind: 'server_error', count: 5 },
        { kind: 'slow', endpoint: 'tags' },
      ]),
    )
    expect(added.status).toBe(201)
    const { ids } = (await added.json()) as { ids: string[] }
    expect(ids).toHaveLength(2)
    expect((await rig.get('/ats/jobs')).status).toBe(500)
    const listed = (await (await fetch(`${rig.origin}/sandbox/faults`)).json()) as Item
    expect(listed.faults).toMatchObject([{ kind: 'server_error', remaining: 4 }, { kind: 'slow' }])
    expect(listed.fired).toEqual({ server_error: 1 })
    expect((await post('{"kind":"earthquake"}')).status).toBe(400)
    expect((await post('{')).status).toBe(400)
    await fetch(`${rig.origin}/sandbox/faults/${ids[1]}`, { method: 'DELETE' })
    expect(rig.sandbox.faults.list()).toHaveLength(1)
    expect((await fetch(`${rig.origin}/sandbox/faults`, { method: 'DELETE' })).status).toBe(204)
    expect((await rig.get('/ats/jobs')).status).toBe(200)
  })
})
