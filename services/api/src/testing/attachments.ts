/** For the API's tests: a source that is asked for files, and that answers as it is told. */
import type { Attachment, AttachmentContentOptions, AttachmentOptions, Attachments } from '@tidemark/connector'
import type { LiveSource } from '../deps.ts'

/** A CV that only the source's credentials open. */
export const CV: Attachment = {
  ...{
    id: '4GVDQGwAo8vXNqNh5KZBVkYr',
    remoteId: '145698',
    type: 'CV',
    fileName: 'cv.pdf',
    contentType: 'application/pdf',
  },
  ...{ dataUrl: null, applicationId: null, remoteCreatedAtMs: null, remoteUpdatedAtMs: null },
}

/** A letter that anybody gets. */
export const LETTER: Attachment = {
  ...{ id: '9QCNGqaDGUYtgHXv5dxUJEBw', remoteId: '145699', type: 'COVER_LETTER', fileName: 'letter.txt' },
  ...{ contentType: 'text/plain', dataUrl: 'https://files.example/1?a=b', applicationId: 'some-application' },
  ...{ remoteCreatedAtMs: Date.parse('2025-06-01T10:00:00.123Z'), remoteUpdatedAtMs: 0 },
}

export interface FakeAttachments {
  /** Records that it was asked about, in this order. */
  asked: (AttachmentOptions | AttachmentContentOptions)[]
  list: Attachments['list']
  content: NonNullable<Attachments['content']>
  restrictions: NonNullable<Attachments['restrictions']>
  readonly source: LiveSource
}

export function fakeAttachments(): FakeAttachments {
  const fake: FakeAttachments = {
    asked: [],
    list: async () => ({ attachments: [CV, LETTER], warnings: ['careful'] }),
    content: async () => ({ ...CV, bytes: Buffer.from('%PDF-1.4') }),
    restrictions: async () => null,
    source: {
      connector: 'traffit',
      passthrough: undefined,
      attachments: {
        models: new Set(['applications', 'candidates']),
        list: (options) => {
          fake.asked.push(options)
          return fake.list(options)
        },
        content: (options) => {
          fake.asked.push(options)
          return fake.content(options)
        },
        restrictions: (options) => fake.restrictions(options),
      },
    },
  }
  return fake
}
