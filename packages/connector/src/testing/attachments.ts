/** What reading files promises, asked of every connector that has it. For tests only. */
import { describe, expect, it } from 'vitest'
import { ATTACHMENT_MODELS, ATTACHMENT_TYPES, type Attachment } from '../attachments.ts'
import type { Connector } from '../connector.ts'
import { contentCases } from './attachmentsContent.ts'
import { type AttachmentsRig, useAttachmentsRig } from './attachmentsRig.ts'
import type { AttachmentsAbilities, AttachmentsStandIn } from './attachmentsStandIn.ts'
import { HTML, RATE_LIMIT_SECONDS } from './standIn.ts'

/** Runs the suite. `start` gives a fresh stand-in on loopback. */
export function attachmentsContract(
  connector: Connector,
  start: () => Promise<AttachmentsStandIn>,
  { hasTokens = false, hasContent = false }: AttachmentsAbilities = {},
): void {
  describe(`attachments of ${connector.name} keep the contract`, () => {
    const rig = useAttachmentsRig(connector, start, { hasTokens, hasContent })
    listCases(rig)
    failureCases(rig)
    if (hasContent) contentCases(rig)
  })
}

function listCases(rig: AttachmentsRig): void {
  it.each(ATTACHMENT_MODELS)('lists the files of %s, under the same ids each time', async (model) => {
    if (!rig.source.attachments?.models.has(model)) return
    rig.standIn.script(rig.standIn.answers.files)
    const { value, error } = await rig.list(model)
    expect(error).toBeUndefined()
    const files = value?.attachments ?? []
    expect(files.length).toBeGreaterThan(1)
    for (const file of files) expectAttachment(file, rig.hasContent)
    const ids = files.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect((await rig.list(model)).value?.attachments.map(({ id }) => id)).toEqual(ids)
  })

  it('tells a record without files from one that is not there', async () => {
    rig.standIn.script(rig.standIn.answers.none)
    expect((await rig.list()).value?.attachments).toEqual([])
    rig.standIn.script(rig.standIn.answers.absent)
    expect(await rig.list()).toEqual({ value: null, error: undefined })
  })
}

function expectAttachment(file: Attachment, hasContent: boolean): void {
  expect(file.id).toMatch(/^[1-9A-HJ-NP-Za-km-z]{24}$/)
  expect(ATTACHMENT_TYPES).toContain(file.type)
  expect([file.remoteId, file.fileName, file.contentType]).not.toContain('')
  if (file.dataUrl === null) expect(hasContent).toBe(true)
  else expect(file.dataUrl).toMatch(/^https?:\/\//)
  for (const ms of [file.remoteCreatedAtMs, file.remoteUpdatedAtMs])
    expect(ms === null || Number.isSafeInteger(ms)).toBe(true)
}

function failureCases(rig: AttachmentsRig): void {
  it('takes HTML, and JSON without a list, for no files and no absence', async () => {
    const { noList } = rig.standIn.answers
    for (const answer of [HTML, noList]) {
      rig.standIn.script(answer)
      expect(await rig.list()).toMatchObject({ value: undefined, error: { code: 'PROVIDER_ANSWER_INVALID' } })
      expect(rig.standIn.requests()).toBeLessThan(6)
    }
    rig.standIn.script(HTML)
    expect((await rig.list()).error).toMatchObject({ message: expect.stringContaining('HTML') })
    rig.standIn.script({ ...HTML, status: 404 })
    expect(await rig.list()).toMatchObject({ value: undefined, error: { name: 'TidemarkError' } })
  })

  it('names the permission that is missing', async () => {
    rig.standIn.script(rig.standIn.answers.forbidden)
    const message = expect.stringContaining(rig.standIn.permission)
    expect((await rig.list()).error).toMatchObject({ code: 'PROVIDER_REFUSED', message, fields: { status: 403 } })
    expect(rig.standIn.requests()).toBe(1)
  })

  it('ends with refused credentials', async () => {
    rig.standIn.script(rig.standIn.answers.authentication)
    expect((await rig.list()).error).toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
    expect(rig.standIn.requests()).toBeLessThan(3)
  })

  it.runIf(rig.hasTokens)('goes on with a new token where the first has expired', async () => {
    rig.standIn.script(rig.standIn.answers.authentication, rig.standIn.answers.files)
    expect((await rig.list()).value?.attachments.length).toBeGreaterThan(1)
  })

  it('waits for a short rate limit, a few times, and for no long one', async () => {
    const { rateLimited, answers } = rig.standIn
    rig.standIn.script(rateLimited(RATE_LIMIT_SECONDS), answers.files)
    const before = rig.clock.now()
    expect((await rig.list()).value?.attachments.length).toBeGreaterThan(1)
    expect(rig.clock.now() - before).toBeGreaterThanOrEqual(RATE_LIMIT_SECONDS * 1000)
    rig.standIn.script(rateLimited(RATE_LIMIT_SECONDS))
    expect((await rig.list()).error).toMatchObject({ code: 'PROVIDER_RATE_LIMITED' })
    expect(rig.standIn.requests()).toBeGreaterThan(1)
    expect(rig.standIn.requests()).toBeLessThan(6)
  })

  it('does not wait for a long rate limit, and promises nothing', async () => {
    rig.standIn.script(rig.standIn.rateLimited(600))
    const { error } = await rig.list()
    expect(error).toMatchObject({ code: 'PROVIDER_RATE_LIMITED', message: expect.not.stringContaining('is tried') })
    expect(rig.standIn.requests()).toBe(1)
  })

  it('tries again a few times when the provider is away or cuts the connection', async () => {
    const { unavailable, files } = rig.standIn.answers
    rig.standIn.script(unavailable, { ...files, cut: true }, files)
    expect((await rig.list()).value?.attachments.length).toBeGreaterThan(1)
    rig.standIn.script(unavailable)
    const { error } = await rig.list()
    expect(error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE', message: expect.not.stringContaining('is tried') })
    expect(rig.standIn.requests()).toBeLessThan(6)
  })

  it('rejects when it is aborted, also while it waits', async () => {
    rig.standIn.script(rig.standIn.rateLimited(RATE_LIMIT_SECONDS))
    const aborter = new AbortController()
    const { error } = await rig.list('candidates', {
      signal: aborter.signal,
      onRetry: () => aborter.abort(new Error('nobody waits')),
    })
    expect(error).toMatchObject({ message: 'nobody waits' })
    expect(rig.standIn.requests()).toBe(1)
  })
}
