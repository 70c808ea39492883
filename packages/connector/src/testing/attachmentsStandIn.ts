/** What reading files is tested against. For tests only. */
import type { AttachmentModel } from '../attachments.ts'
import type { Scripted } from './scriptedServer.ts'

/** How the provider answers a request for the files of a record. */
export interface FileAnswers {
  /** At least two files, one of them a PDF. */
  readonly files: Scripted
  readonly none: Scripted
  /** There is no such record. */
  readonly absent: Scripted
  /** Status 200, and JSON that holds no list of files. */
  readonly noList: Scripted
  /** The permission to read files is missing. */
  readonly forbidden: Scripted
  readonly authentication: Scripted
  readonly unavailable: Scripted
}

export interface AttachmentsStandIn {
  /** The connector's options for it. */
  readonly options: Readonly<Record<string, unknown>>
  readonly integrationId: string
  /** Texts of the options, and of tokens got with them, that must never be seen. */
  readonly secrets: readonly string[]
  /** Remote key of a record of each model that has files. */
  readonly records: Readonly<Partial<Record<AttachmentModel, string>>>
  readonly answers: FileAnswers
  /** Requests were too many: status 429, and to come back in so many seconds. */
  rateLimited(seconds: number): Scripted
  /** Words of the missing permission that a message must hold. */
  readonly permission: string
  /** Answers to the next requests in this order, the last one repeated; those for tokens aside. */
  script(...answers: readonly Scripted[]): void
  /** Requests since, without those for tokens. */
  requests(): number
  close(): Promise<void>
}

export interface AttachmentsAbilities {
  /** The credentials get tokens that expire. */
  readonly hasTokens?: boolean
  /** Contents are read by the source. */
  readonly hasContent?: boolean
}
