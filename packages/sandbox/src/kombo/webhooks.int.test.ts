import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SandboxOptions } from '../options.ts'
import { type Received, type Rig, startReceiver, startRig } from '../testkit.ts'

let rig: Rig
let receiver: Awaited<ReturnType<typeof startReceiver>>
let status: (received: Received) => number

beforeEach(async () => {
  status = () => 200
  receiver = await startReceiver((received) => status(received))
})
afterEach(async () => {
  await rig.close()
  await receiver.close()
})

const start = async (options: SandboxOptions = {}): Promise<void> => {
  rig = await startRig({ webhookTarget: receiver.url, ...options })
}
const models = (): string[][] =>
  receiver.received
    .filter((each) => each.json.type === 'data-changed')
    .map((each) => each.json.data.changed_models.map((model: { name: string }) => model.name))

describe('webhooks', () => {
  it('are signed over exactly the bytes that are sent, in base64url without padding, pretty-printed with two spaces', async () => {
    await start({ webhookSecret: 'sécret' })
    rig.sandbox.world.editCandidate(rig.id, '1', { first_name: 'Éowyn' })
    await rig.sandbox.settled()
    const [webhook] = receiver.received
    const expected = createHmac('sha256', 'sécret')
      .update(webhook?.raw as Buffer)
      .digest('base64url')
    expect(webhook?.signature).toBe(expected)
    expect(webhook?.signature).toMatch(/^[\w-]{43}$/)
    expect(webhook?.raw.toString('utf8')).toBe(JSON.stringify(webhook?.json, null, 2))
    expect(webhook?.json).toEqual({
      id: expect.stringMatching(/^\w{24}$/),
      type: 'data-changed',
      data: {
        integration_id: rig.id,
        integration_tool: 'greenhouse',
        integration_category: 'ATS',
        changed_models: [{ name: 'ats_candidates' }],
      },
    })
  })

  it('data-changed goes out at once, then at most once per window with everything merged', async () => {
    await start()
    const { world } = rig.sandbox
    world.editCandidate(rig.id, '1', { title: 'a' })
    await rig.sandbox.settled()
    expect(models()).toEqual([['ats_candidates']])
    await rig.clock.advance(10_000)
    world.addTag(rig.id, '1', 'Fresh')
    world.editJob(rig.id, '1', { name: 'Wizard' })
    await rig.clock.advance(19_999)
    await rig.sandbox.settled()
    expect(models()).toHaveLength(1)
    await rig.clock.advance(1)
    await rig.sandbox.settled()
    expect(models()[1]).toEqual(['ats_jobs', 'ats_join_candidates_tags', 'ats_tags'])
    world.editJob(rig.id, '1', { name: 'Baker' })
    await rig.clock.advance(29_999)
    await rig.sandbox.settled()
    expect(models()).toHaveLength(2)
    await rig.clock.advance(1)
    await rig.sandbox.settled()
    expect(models()[2]).toEqual(['ats_jobs'])
    await rig.clock.advance(30_000)
    world.editJob(rig.id, '1', { name: 'Gardener' })
    await rig.sandbox.settled()
    expect(models()).toHaveLength(4)
  })

  it('debounces each integration on its own, and not at all with a window of 0', async () => {
    await start({ integrations: 2, webhooks: { debounceMs: 0 } })
    const [a, b] = rig.sandbox.integrations as [string, string]
    rig.sandbox.world.editCandidate(a, '1', { title: 'a' })
    rig.sandbox.world.editCandidate(a, '1', { title: 'b' })
    rig.sandbox.world.editCandidate(b, '1', { title: 'c' })
    await rig.sandbox.settled()
    expect(models()).toHaveLength(3)
    expect(new Set(receiver.received.map((each) => each.json.id)).size).toBe(3)
  })

  it('are retried a bounded number of times with growing pauses, then given up', async () => {
    await start({ webhooks: { retries: 2, retryMs: 1000 } })
    status = () => 503
    rig.sandbox.world.editCandidate(rig.id, '1', { title: 'a' })
    await rig.sandbox.settled()
    expect(receiver.received).toHaveLength(1)
    for (const [ms, count] of [
      [999, 1],
      [1, 2],
      [1999, 2],
      [1, 3],
      [1_000_000, 3],
    ] as const) {
      await rig.clock.advance(ms)
      await rig.sandbox.settled()
      expect(receiver.received).toHaveLength(count)
    }
    expect(rig.sandbox.stats).toMatchObject({ webhooksFailed: 1, webhookRetries: 2, webhooksDelivered: 0 })
    expect(rig.sandbox.deliveries).toEqual([expect.objectContaining({ attempts: 3, status: 503, delivered: false })])
    expect(new Set(receiver.received.map((each) => each.json.id)).size).toBe(1)
  })

  it('survive a receiver that is not there', async () => {
    await start({ webhooks: { retries: 0 } })
    rig.sandbox.setWebhookTarget('http://127.0.0.1:1/nobody')
    rig.sandbox.world.editCandidate(rig.id, '1', { title: 'a' })
    await rig.sandbox.settled()
    rig.sandbox.setWebhookTarget(null)
    rig.sandbox.createIntegration()
    expect(rig.sandbox.stats).toMatchObject({ webhooksFailed: 1, webhooksDropped: 1 })
  })

  it('can be duplicated, lost and late on request', async () => {
    await start({ webhooks: { debounceMs: 0 } })
    const { faults, world } = rig.sandbox
    const edit = async (title: string): Promise<void> => {
      world.editCandidate(rig.id, '1', { title })
      await rig.sandbox.settled()
    }
    faults.add({ kind: 'duplicate_webhook', endpoint: 'data-changed' })
    await edit('a')
    expect(receiver.received.map((each) => each.json.id)).toEqual(Array(2).fill(receiver.received[0]?.json.id))
    faults.add({ kind: 'lost_webhook' })
    await edit('b')
    expect(receiver.received).toHaveLength(2)
    faults.add({ kind: 'late_webhook', delayMs: 5000 })
    await edit('c')
    await edit('d')
    expect(receiver.received).toHaveLength(3)
    await rig.clock.advance(5000)
    await rig.sandbox.settled()
    expect(receiver.received).toHaveLength(4)
    expect(faults.list()).toEqual([])
  })
})
