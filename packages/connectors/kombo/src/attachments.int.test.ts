import { seededRandom } from '@tidemark/base'
import type { Attachments } from '@tidemark/connector'
import { type AttachmentsStandIn, attachmentsContract, type Scripted } from '@tidemark/connector/contract'
import { ManualClock } from '@tidemark/testing'
import { describe, expect, it } from 'vitest'
import { failure, type Seen, startFakeKombo } from '../test/fakeKombo.ts'
import { connector } from './index.ts'

const CV = {
  id: '9AWwqMmxpQLPnF7oj5i1ZWsz',
  ...{ application_id: 'H77fDF8uvEzGNPRubiz5DvQ7', candidate_id: '26vafvWSRmbhNcxJYqjCzuJg' },
  ...{ type: 'CV', remote_id: '32', data_url: 'https://resources.kombo.dev/32', file_name: 'cv.pdf' },
  ...{ content_type: 'application/pdf', remote_created_at: '2025-01-02T03:04:05.678Z', remote_updated_at: null },
}
const ODD = { ...CV, id: '3PJ8PZhZZa1eEdd2DtPNtVup', type: 'PHOTO', remote_id: null, file_name: '', content_type: null }

const listed = (results: readonly unknown[], warnings: readonly string[] = []): Scripted => ({
  body: { status: 'success', data: { results }, warnings: warnings.map((message) => ({ message })) },
})

async function start(): Promise<AttachmentsStandIn & { readonly seen: readonly Seen[] }> {
  const fake = await startFakeKombo()
  let since = 0
  return {
    options: {
      ...{ base_url: fake.baseUrl, api_key: 'the-api-key', webhook_secret: 'the-webhook-secret' },
      integrations: ['join:abc'],
    },
    integrationId: 'join:abc',
    secrets: ['the-api-key', 'the-webhook-secret'],
    records: { candidates: CV.candidate_id, applications: CV.application_id },
    answers: {
      files: listed([CV, ODD]),
      none: listed([]),
      absent: failure(404, null, 'no such candidate'),
      noList: { body: { status: 'success', data: {} } },
      forbidden: failure(403, 'INTEGRATION.PERMISSION_MISSING', 'not with the-api-key'),
      authentication: failure(401, 'PLATFORM.AUTHENTICATION_INVALID'),
      unavailable: { status: 502, body: '<html>Bad Gateway</html>' },
    },
    rateLimited: (seconds) => ({
      ...failure(429, 'PLATFORM.CONCURRENCY_LIMIT_EXCEEDED'),
      headers: { 'retry-after': String(seconds) },
    }),
    permission: 'INTEGRATION.PERMISSION_MISSING',
    script: (...answers) => {
      since = fake.seen.length
      fake.answer = (_request, count) => answers[Math.min(count - since, answers.length - 1)] as Scripted
    },
    requests: () => fake.seen.length - since,
    seen: fake.seen,
    close: () => fake.close(),
  }
}

attachmentsContract(connector, start)

/** What comes of one answer of Kombo, and the request it answered. */
async function ask<T>(answer: Scripted, work: (attachments: Attachments, signal: AbortSignal) => Promise<T>) {
  const standIn = await start()
  const source = connector.create(connector.parseOptions(standIn.options), {
    ...{ clock: new ManualClock(), random: seededRandom(1) },
  })
  standIn.script(answer)
  const value = await work(source.attachments as Attachments, new AbortController().signal).catch(
    (error: unknown) => error,
  )
  await source.close()
  await standIn.close()
  return { value, seen: standIn.seen[0] }
}

const OF = { integrationId: 'join:abc', model: 'candidates', id: CV.candidate_id, remoteKey: CV.candidate_id } as const

describe("Kombo's attachments", () => {
  it('keep their ids, addresses and warnings', async () => {
    const { value, seen } = await ask(listed([CV, ODD], ['careful']), (all, signal) => all.list({ ...OF, signal }))
    expect(seen).toMatchObject({ path: `/v1/ats/candidates/${CV.candidate_id}/attachments`, query: {} })
    expect(seen?.headers).toMatchObject({ authorization: 'Bearer the-api-key', 'x-integration-id': 'join:abc' })
    const first = {
      ...{ id: CV.id, remoteId: '32', type: 'CV', fileName: 'cv.pdf', contentType: 'application/pdf' },
      ...{ dataUrl: CV.data_url, applicationId: CV.application_id, remoteUpdatedAtMs: null },
      remoteCreatedAtMs: Date.parse(CV.remote_created_at),
    }
    const odd = {
      ...first,
      id: ODD.id,
      remoteId: ODD.id,
      type: 'OTHER',
      fileName: ODD.id,
      contentType: 'application/octet-stream',
    }
    expect(value).toEqual({ attachments: [first, odd], warnings: ['careful'] })
  })

  it.each([[{ id: null }], [{ data_url: 'javascript:alert(1)' }], [{ data_url: null }]])(
    'are left out with %j, which is said',
    async (broken) => {
      const { value } = await ask(listed([CV, { ...CV, ...broken }]), (all, signal) => all.list({ ...OF, signal }))
      expect(value).toMatchObject({
        attachments: [{ id: CV.id }],
        warnings: [expect.stringContaining('1 attachments')],
      })
    },
  )

  it('are no absence where Kombo does not know the integration', async () => {
    const answer = failure(404, 'PLATFORM.INTEGRATION_NOT_FOUND')
    expect((await ask(answer, (all, signal) => all.list({ ...OF, signal }))).value).toMatchObject({
      code: 'PROVIDER_REFUSED',
    })
  })

  it('have the restrictions that Kombo knows', async () => {
    const supported = {
      is_supported: true,
      min_amount: null,
      max_amount: 1,
      max_file_size_bytes: 5,
      accepted_mime_types: ['a/b'],
    }
    const types = { CV: supported, COVER_LETTER: { is_supported: false }, OTHER: { is_supported: false } }
    const known = { total_size_bytes: null, types }
    const read = (attachment_restrictions: unknown) =>
      ask({ body: { status: 'success', data: { attachment_restrictions } } }, (all, signal) =>
        Promise.resolve(all.restrictions?.({ integrationId: 'join:abc', action: 'ats_create_candidate', signal })),
      )
    const { value, seen } = await read(known)
    expect(value).toEqual(known)
    expect(seen?.path).toBe('/v1/ats/actions/ats_create_candidate')
    expect((await read(null)).value).toBeNull()
  })
})
