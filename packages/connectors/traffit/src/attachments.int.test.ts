import { seededRandom } from '@tidemark/base'
import type { AttachmentModel } from '@tidemark/connector'
import { type AttachmentsStandIn, attachmentsContract, drive, type Scripted } from '@tidemark/connector/contract'
import { ManualClock } from '@tidemark/testing'
import { describe, expect, it } from 'vitest'
import { failure, granted, startFakeTraffit } from '../test/fakeTraffit.ts'
import { typeOf } from './files.ts'
import { connector } from './index.ts'

const FILES = [
  { id: 145698, name: 'cv.pdf' },
  { id: '145699', name: 'Anschreiben.docx' },
  { id: 145700, name: '' },
]

async function start(): Promise<AttachmentsStandIn & { readonly paths: () => readonly string[] }> {
  const fake = await startFakeTraffit()
  fake.token = (_request, count) => granted(`access-token-${count + 1}`)
  let since = 0
  return {
    options: {
      ...{ base_url: fake.baseUrl, client_id: 'acme_tidemark', client_secret: 'the-client-secret' },
      ...{ webhook_secret: 'the-webhook-secret', integration: 'traffit:acme', requests_per_second: 1000 },
    },
    integrationId: 'traffit:acme',
    secrets: ['the-client-secret', 'the-webhook-secret', 'access-token-1', 'access-token-2'],
    records: { candidates: '1246', applications: '1246:52' },
    answers: {
      files: { body: FILES },
      none: { body: [] },
      absent: failure(404),
      noList: { body: { id: 1246 } },
      forbidden: failure(403, 'no access-token-1'),
      authentication: failure(401),
      unavailable: { status: 502, body: '<html>Bad Gateway</html>' },
    },
    rateLimited: (seconds) => ({ ...failure(429), headers: { 'retry-after': String(seconds) } }),
    permission: 'scope `file`',
    script: (...answers) => {
      since = fake.seen.length
      fake.answer = (_request, count) => answers[Math.min(count - since, answers.length - 1)] as Scripted
    },
    requests: () => fake.seen.length - since,
    paths: () => fake.seen.map(({ method, path }) => `${method} ${path}`),
    close: () => fake.close(),
  }
}

attachmentsContract(connector, start, { hasTokens: true, hasContent: true })

describe("TRAFFIT's files", () => {
  it('are those of the employee, also for an application, which is said', async () => {
    const standIn = await start()
    const clock = new ManualClock()
    const deps = { clock, random: seededRandom(1) }
    const source = connector.create(connector.parseOptions(standIn.options), deps)
    standIn.script({ body: [...FILES, { name: 'no id' }] })
    const asked = { integrationId: 'traffit:acme', id: 'x', signal: new AbortController().signal }
    const list = (model: AttachmentModel, remoteKey: string) =>
      drive(clock, Promise.resolve(source.attachments?.list({ ...asked, model, remoteKey })))
    const ofCandidate = await list('candidates', '1246')
    const ofApplication = await list('applications', '1246:52')
    await source.close()
    await standIn.close()
    expect(standIn.paths()).toEqual(Array(2).fill('GET /api/integration/v2/employees/1246/files'))
    expect(ofApplication?.attachments).toEqual(ofCandidate?.attachments)
    expect(ofApplication?.warnings[0]).toContain('on the candidate')
    expect(ofCandidate?.warnings).toEqual([expect.stringContaining('1 files have no id')])
    const told = ofCandidate?.attachments.map(({ remoteId, type, fileName, contentType }) => [
      remoteId,
      type,
      fileName,
      contentType,
    ])
    expect(told).toEqual([
      ['145698', 'CV', 'cv.pdf', 'application/pdf'],
      ['145699', 'COVER_LETTER', 'Anschreiben.docx', expect.stringContaining('wordprocessingml')],
      ['145700', 'OTHER', '145700', 'application/octet-stream'],
    ])
  })

  it.each([
    ['CV.pdf', 'CV'],
    ['Frodo_CV_2025.pdf', 'CV'],
    ['Lebenslauf Frodo.pdf', 'CV'],
    ['życiorys.pdf', 'CV'],
    ['Résumé.docx', 'CV'],
    ['cover letter to my CV.pdf', 'COVER_LETTER'],
    ['list-motywacyjny.pdf', 'COVER_LETTER'],
    ['Motivationsschreiben.pdf', 'COVER_LETTER'],
    ['cvs.png', 'OTHER'],
    ['Zeugnis.pdf', 'OTHER'],
  ])('%s is a %s', (name, type) => {
    expect(typeOf(name)).toBe(type)
  })
})
