import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { WebhookReading, WebhookRequest } from '@tidemark/connector'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { INTEGRATION, type Rig, startRig, WEBHOOK_SECRET } from '../test/rig.ts'
import { ensureSubscriptions, removeSubscriptions } from './subscriptions.ts'
import { EVENTS } from './webhook.ts'

let rig: Rig
let received: WebhookRequest[]
let target: string
let close: () => Promise<void>

beforeEach(async () => {
  rig = await startRig()
  received = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const query = Object.fromEntries(new URL(request.url ?? '/', 'http://localhost').searchParams)
      received.push({ headers: {}, query, rawBody: Buffer.concat(chunks) })
      response.writeHead(200).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  target = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/shire`
  close = () =>
    new Promise((resolve) => {
      server.closeAllConnections()
      server.close(() => resolve())
    })
})

afterEach(async () => {
  await rig.close()
  await close()
})

const ensure = (secret = WEBHOOK_SECRET) => rig.during(ensureSubscriptions(rig.client, target, secret))

describe('subscriptions', () => {
  it('are made for every event, once', async () => {
    expect(await ensure()).toEqual({ created: [...EVENTS], kept: [], removed: [], notOffered: [] })
    expect(await ensure()).toEqual({ created: [], kept: [...EVENTS], removed: [], notOffered: [] })
    const urls = new Set(rig.simulator.subscriptions().map(({ url }) => url))
    expect([...urls]).toEqual([`${target}?secret=${WEBHOOK_SECRET}`])
  })

  it('with another secret replace the old ones, and leave those of others alone', async () => {
    await ensure('the-secret-of-before')
    await rig.during(ensureSubscriptions(rig.client, 'http://127.0.0.1:1/other', WEBHOOK_SECRET))
    const { created, removed } = await ensure()
    expect([created.length, removed.length]).toEqual([12, 12])
    expect(rig.simulator.subscriptions()).toHaveLength(24)
    expect((await rig.during(removeSubscriptions(rig.client, target))).length).toBe(12)
    expect(rig.simulator.subscriptions().every(({ url }) => url.startsWith('http://127.0.0.1:1/other'))).toBe(true)
  })

  it('are not doubled when a reply is lost', async () => {
    rig.simulator.faults.add({ kind: 'cut_mid_body', endpoint: 'webhooks', count: 4 })
    await ensure()
    expect(
      rig.simulator
        .subscriptions()
        .map(({ type }) => type)
        .sort(),
    ).toEqual([...EVENTS].sort())
  })

  it('need their scope', async () => {
    rig.simulator.setScopes(['employee'])
    await expect(ensure()).rejects.toMatchObject({
      code: 'PROVIDER_REFUSED',
      message: expect.stringContaining('`webhook`') as string,
    })
  })
})

describe('what happens at the tenant', () => {
  const readings = async (): Promise<WebhookReading[]> => {
    await rig.simulator.settled()
    const requests = received.splice(0)
    for (const request of requests) expect(rig.source.verifyWebhook(request)).toBe(true)
    return requests.map((request) => rig.source.readWebhook(request))
  }
  const company = () => rig.world.company(INTEGRATION)
  const keyOf = (model: 'candidates' | 'jobs', id: string): string => company().find(model, id).remoteId

  it('becomes reads of what it is about, which can be read', async () => {
    await ensure()
    const job = rig.world.createJob(INTEGRATION, { visibility: 'PUBLIC' })
    const candidate = rig.world.createCandidate(INTEGRATION)
    const application = rig.world.apply(INTEGRATION, candidate, job)
    rig.world.hireApplication(INTEGRATION, application)
    const found = await readings()
    const [j, c] = [keyOf('jobs', job), keyOf('candidates', candidate)]
    expect(found.map(({ eventName }) => eventName).sort()).toEqual([
      'candidate_applied',
      'candidate_created',
      'candidate_hired',
      'job_created',
    ])
    for (const { effects } of found)
      for (const effect of effects) {
        if (effect.kind !== 'read') return expect.fail(effect.kind)
        expect(effect.remoteKeys).toEqual([
          { jobs: j, candidates: c, applications: `${c}:${j}` }[effect.model as 'jobs'],
        ])
        const answers = await rig.read(effect.model, ...effect.remoteKeys)
        expect(answers.flatMap(({ mapped }) => mapped.records).some(({ model }) => model === effect.model)).toBe(true)
      }
  })

  it('may be an end: what is read then is not there', async () => {
    await ensure()
    const [gone, kept, blank] = ['1', '2', '3']
    const pending = [...company().tables.applications.values()].find(({ fields }) => fields.candidate_id !== gone)
    rig.world.mergeCandidates(INTEGRATION, gone ?? '', kept ?? '')
    rig.world.anonymizeCandidate(INTEGRATION, blank ?? '')
    rig.world.deleteCandidate(INTEGRATION, '4')
    expect(pending).toBeDefined()
    const found = (await readings()).flatMap(({ effects }) => effects)
    expect(found).toEqual(
      expect.arrayContaining([
        { kind: 'read', model: 'candidates', remoteKeys: ['2'] },
        { kind: 'read', model: 'candidates', remoteKeys: ['1'], meaning: { kind: 'merged', intoRemoteKey: '2' } },
        { kind: 'read', model: 'candidates', remoteKeys: ['3'], meaning: { kind: 'anonymized' } },
        { kind: 'read', model: 'candidates', remoteKeys: ['4'] },
      ]),
    )
    const answers = await rig.read('candidates', '1', '3', '4')
    expect(answers.flatMap(({ absent }) => absent.map(({ remoteKey }) => remoteKey))).toEqual(['1', '4'])
    expect(answers.flatMap(({ mapped }) => mapped.records)).toMatchObject([{ remoteKey: '3', kind: 'anonymized' }])
  })

  it('is not told in full: tags, edits, users and teams have no event', async () => {
    await ensure()
    rig.world.addTag(INTEGRATION, '1', 'Speaks Elvish')
    rig.world.editCandidate(INTEGRATION, '1', { title: 'Gardener' })
    rig.world.editUser(INTEGRATION, '1', { first_name: 'Sam' })
    rig.world.setHiringTeam(INTEGRATION, '1', [])
    rig.world.vanishCandidate(INTEGRATION, '5')
    expect(await readings()).toEqual([])
  })

  it.each(['wrong', 'missing'] as const)('with a %s secret is refused', async (secrets) => {
    await ensure()
    rig.simulator.setWebhookSecrets(secrets)
    rig.world.createCandidate(INTEGRATION)
    await rig.simulator.settled()
    expect(received.map((request) => rig.source.verifyWebhook(request))).toEqual([false])
  })
})
