import { COMMANDS_TOPIC } from '@tidemark/model'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HeldSweep } from './deps.ts'
import { noStatus, openWorld, PARTITIONS, type Served, type World } from './testing/harness.ts'

const HELD: readonly HeldSweep[] = [
  { integrationId: 'acme:1', source: 'main', model: 'candidates', syncId: 's1', atMs: 0, suspects: 60, records: 100 },
  { integrationId: 'acme:2', source: 'main', model: 'jobs', syncId: 's2', atMs: 0, suspects: 50, records: 60 },
]
const WRITER = 'writer-key-0123456789'
const READER = 'reader-key-0123456789'

let world: World
let served: Served

beforeAll(async () => {
  world = await openWorld()
  served = await world.serve({
    status: { ...noStatus, heldSweeps: () => HELD },
    apiKeys: [
      { name: 'writer', key: WRITER, write: true, integrations: ['acme:1'] },
      { name: 'reader', key: READER, models: ['jobs'] },
    ],
  })
})
afterAll(() => world.close())

async function post(
  body: unknown,
  key = WRITER,
): Promise<{ status: number; body: { data: object; error: { code: string } } }> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const response = await fetch(`${served.url}/v1/syncs/held`, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: response.status, body: (await response.json()) as never }
}

async function commands() {
  const fetched = await Promise.all(
    Array.from({ length: PARTITIONS }, (_, partition) =>
      world.log.fetch({ topic: COMMANDS_TOPIC, partition, offset: 0 }),
    ),
  )
  return fetched.flatMap(({ records }) =>
    records.map(({ value }) => world.deps.codec.decode('Command', value as Buffer)),
  )
}

const DECISION = { integration_id: 'acme:1', model: 'candidates', sync_id: 's1', decision: 'confirm' }

describe('held mass deletions', () => {
  it('are listed within what the key may see', async () => {
    const own = await served.get('/v1/syncs/held', { authorization: `Bearer ${WRITER}` })
    expect(own.body.data.results).toEqual([
      {
        integration_id: 'acme:1',
        source: 'main',
        model: 'candidates',
        sync_id: 's1',
        held_at: '1970-01-01T00:00:00.000Z',
        suspects: 60,
        records: 100,
      },
    ])
    const jobs = await served.get('/v1/syncs/held', { authorization: `Bearer ${READER}` })
    expect(jobs.body.data.results).toMatchObject([{ integration_id: 'acme:2' }])
  })

  it('are decided by a command in the name of the key', async () => {
    expect(await post(DECISION)).toMatchObject({ status: 200, body: { data: { decision: 'confirm', suspects: 60 } } })
    expect(await commands()).toMatchObject([
      {
        kind: 'held_confirm',
        integration_id: 'acme:1',
        actor: 'writer',
        payload: '{"model":"candidates","sync_id":"s1"}',
      },
    ])
  })

  it.each([
    ['another run', { sync_id: 'other' }, 404, 'TIDEMARK.SYNC_NOT_FOUND'],
    [
      'an integration out of scope',
      { integration_id: 'acme:2', model: 'jobs', sync_id: 's2' },
      404,
      'TIDEMARK.SYNC_NOT_FOUND',
    ],
    ['no decision', { decision: 'maybe' }, 400, 'PLATFORM.INPUT_INVALID'],
    ['no model', { model: 7 }, 400, 'PLATFORM.INPUT_INVALID'],
  ])('refuse a decision about %s', async (_, change, status, code) => {
    expect(await post({ ...DECISION, ...change })).toMatchObject({ status, body: { error: { code } } })
  })

  it('cannot be decided by a key that may only read', async () => {
    expect((await post(DECISION, READER)).status).toBe(403)
    expect(await commands()).toHaveLength(1)
  })
})
