/** A file is handed on as it is, or not at all. For tests only. */
import { expect, it } from 'vitest'
import { ATTACHMENT_BYTES_MAX, type Attachment } from '../attachments.ts'
import type { AttachmentsRig } from './attachmentsRig.ts'
import { HTML } from './standIn.ts'

const PDF = { headers: { 'content-type': 'application/pdf' }, body: '%PDF-1.4 Grüße' } as const

export function contentCases(rig: AttachmentsRig): void {
  const pdf = async (): Promise<Attachment> => {
    rig.standIn.script(rig.standIn.answers.files)
    const files = (await rig.list()).value?.attachments ?? []
    const found = files.find(({ contentType }) => contentType === 'application/pdf')
    if (!found) throw new RangeError('the stand-in has no PDF')
    return found
  }

  it('hands on the bytes of a file', async () => {
    const { id, fileName } = await pdf()
    rig.standIn.script(rig.standIn.answers.files, PDF)
    const { value } = await rig.content(id)
    expect(value).toMatchObject({ fileName, contentType: 'application/pdf' })
    expect(Buffer.from(value?.bytes ?? []).toString()).toBe(PDF.body)
  })

  it('asks for no file that the record does not have', async () => {
    rig.standIn.script(rig.standIn.answers.files, PDF)
    expect(await rig.content('2'.repeat(24))).toEqual({ value: null, error: undefined })
    expect(rig.standIn.requests()).toBe(1)
  })

  it('says of a file, or its record, that it is not there', async () => {
    const { id } = await pdf()
    rig.standIn.script(rig.standIn.answers.files, rig.standIn.answers.absent)
    expect(await rig.content(id)).toEqual({ value: null, error: undefined })
    rig.standIn.script(rig.standIn.answers.absent)
    expect(await rig.content(id)).toEqual({ value: null, error: undefined })
  })

  it('takes a web page for no PDF', async () => {
    const { id } = await pdf()
    rig.standIn.script(rig.standIn.answers.files, HTML)
    const message = expect.stringContaining('HTML')
    expect((await rig.content(id)).error).toMatchObject({ code: 'PROVIDER_ANSWER_INVALID', message })
  })

  it('reads no file without end', async () => {
    const { id } = await pdf()
    rig.standIn.script(rig.standIn.answers.files, { ...PDF, body: 'x'.repeat(ATTACHMENT_BYTES_MAX) })
    expect((await rig.content(id)).value?.bytes.byteLength).toBe(ATTACHMENT_BYTES_MAX)
    rig.standIn.script(rig.standIn.answers.files, { ...PDF, body: 'x'.repeat(ATTACHMENT_BYTES_MAX + 1) })
    const message = expect.stringContaining(String(ATTACHMENT_BYTES_MAX))
    expect((await rig.content(id)).error).toMatchObject({ code: 'PROVIDER_ANSWER_INVALID', message })
  })

  it('names the permission that is missing, also for the bytes', async () => {
    const { id } = await pdf()
    rig.standIn.script(rig.standIn.answers.files, rig.standIn.answers.forbidden)
    const message = expect.stringContaining(rig.standIn.permission)
    expect((await rig.content(id)).error).toMatchObject({ code: 'PROVIDER_REFUSED', message, fields: { status: 403 } })
  })
}
