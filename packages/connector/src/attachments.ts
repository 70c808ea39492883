/** Files of applications and candidates, asked for when somebody wants them: the part of the port behind `GET /v1/ats/{model}/{id}/attachments`. */
import type { FetchOptions } from './connector.ts'

export const ATTACHMENT_TYPES = ['CV', 'COVER_LETTER', 'OTHER'] as const
export type AttachmentType = (typeof ATTACHMENT_TYPES)[number]

/** Models whose records have attachments. */
export const ATTACHMENT_MODELS = ['applications', 'candidates'] as const
export type AttachmentModel = (typeof ATTACHMENT_MODELS)[number]

/** Kombo's names of the writes that take files. */
export const ATTACHMENT_ACTIONS = [
  'ats_create_candidate',
  'ats_create_application',
  'ats_add_application_attachment',
  'ats_add_candidate_attachment',
] as const
export type AttachmentAction = (typeof ATTACHMENT_ACTIONS)[number]

/** Bytes of a file that is handed on. */
export const ATTACHMENT_BYTES_MAX = 20_000_000

/** What is known of a file. */
export interface Attachment {
  /** 24 base58 characters, always the same for the same file: the provider's own where it has such ids, else `attachmentId(…)`. */
  readonly id: string
  readonly remoteId: string
  readonly type: AttachmentType
  readonly fileName: string
  readonly contentType: string
  /** Where anybody gets the content, http or https; null: only the source does, through {@link Attachments.content}. */
  readonly dataUrl: string | null
  /** Public id of the application it belongs to; null: it belongs to the candidate. */
  readonly applicationId: string | null
  /** In ms. */
  readonly remoteCreatedAtMs: number | null
  readonly remoteUpdatedAtMs: number | null
}

export interface AttachmentList {
  readonly attachments: readonly Attachment[]
  /** What whoever reads them should know, one sentence each. */
  readonly warnings: readonly string[]
}

export interface AttachmentContent {
  readonly fileName: string
  /** As the provider says it, unchecked. */
  readonly contentType: string
  readonly bytes: Uint8Array
}

/** Names the record whose files are meant. */
export interface AttachmentOptions extends Pick<FetchOptions, 'integrationId' | 'signal' | 'onRetry'> {
  readonly model: AttachmentModel
  /** Public id of the record. */
  readonly id: string
  /** Its remote key, as in `MappedRecord`. */
  readonly remoteKey: string
}

export interface AttachmentContentOptions extends AttachmentOptions {
  readonly attachmentId: string
}

type Restriction =
  | { readonly is_supported: false }
  | {
      readonly is_supported: true
      readonly min_amount: number | null
      readonly max_amount: number | null
      readonly max_file_size_bytes: number | null
      readonly accepted_mime_types: readonly string[] | null
    }

/** Which files a write takes, in Kombo's words: `/v1/ats/actions/{action}` hands it on. */
export interface AttachmentRestrictions {
  readonly total_size_bytes: number | null
  readonly types: Readonly<Record<AttachmentType, Restriction>>
}

/**
 * Asks the provider for files, while somebody waits: few tries, short waits. All throw PROVIDER_AUTHENTICATION, PROVIDER_REFUSED (`fields.status`
 * 403: a permission is missing, which the message names), PROVIDER_RATE_LIMITED, PROVIDER_NOT_READY, PROVIDER_UNAVAILABLE, PROVIDER_ANSWER_INVALID, and
 * the signal's reason on abort.
 */
export interface Attachments {
  readonly models: ReadonlySet<AttachmentModel>
  /** All files of a record; null when the provider says that the record is not there. */
  list(options: AttachmentOptions): Promise<AttachmentList | null>
  /** One file, of at most {@link ATTACHMENT_BYTES_MAX}; null when the record or the file is not there. Absent: every file has a `dataUrl`. */
  content?(options: AttachmentContentOptions): Promise<AttachmentContent | null>
  /** Absent, and null: nothing is known. */
  restrictions?(
    options: Pick<AttachmentOptions, 'integrationId' | 'signal' | 'onRetry'> & { readonly action: AttachmentAction },
  ): Promise<AttachmentRestrictions | null>
}
