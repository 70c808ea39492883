/** A source in front of a stand-in for reading files, fresh for each test. For tests only. */
import { seededRandom } from '@tidemark/base'
import { ManualClock } from '@tidemark/testing'
import { afterEach, beforeEach } from 'vitest'
import type { AttachmentContent, AttachmentList, AttachmentModel } from '../attachments.ts'
import type { Connector, FetchOptions, Source } from '../connector.ts'
import type { AttachmentsAbilities, AttachmentsStandIn } from './attachmentsStandIn.ts'
import { drive } from './rig.ts'
import { expectNoSecret } from './secrets.ts'

export interface Asked<T> {
  /** null: not there; undefined: there was an error. */
  readonly value: T | null | undefined
  readonly error: unknown
}

type Circumstances = Partial<Pick<FetchOptions, 'signal' | 'onRetry'>>

/** What the cases of the suite work with. */
export interface AttachmentsRig extends Required<AttachmentsAbilities> {
  readonly standIn: AttachmentsStandIn
  readonly source: Source
  readonly clock: ManualClock
  /** Asks for the files of a record of the model, and looks whether a secret is told. */
  list(model?: AttachmentModel, circumstances?: Circumstances): Promise<Asked<AttachmentList>>
  content(attachmentId: string): Promise<Asked<AttachmentContent>>
}

/** Registers what makes and closes a stand-in with its source around each test of the suite. */
export function useAttachmentsRig(
  connector: Connector,
  start: () => Promise<AttachmentsStandIn>,
  abilities: Required<AttachmentsAbilities>,
): AttachmentsRig {
  let standIn: AttachmentsStandIn
  let source: Source
  let clock: ManualClock

  beforeEach(async () => {
    standIn = await start()
    clock = new ManualClock()
    source = connector.create(connector.parseOptions(standIn.options), { clock, random: seededRandom(1) })
  })
  afterEach(async () => {
    await source.close()
    await standIn.close()
  })

  const asked = async <T>(work: Promise<T | null> | undefined): Promise<Asked<T>> => {
    const settled = Promise.resolve(work).then(
      (value) => ({ value, error: undefined }),
      (error: unknown) => ({ value: undefined, error }),
    )
    const outcome = await drive(clock, settled)
    // A file holds whatever its author wrote.
    expectNoSecret(standIn.secrets, { ...outcome, value: { ...outcome.value, bytes: undefined } })
    return outcome
  }
  const recordOf = (model: AttachmentModel) => {
    const { integrationId, records } = standIn
    return { integrationId, model, id: 'the-public-id', remoteKey: records[model] ?? 'of no record' }
  }
  const { signal } = new AbortController()
  return {
    ...abilities,
    get standIn() {
      return standIn
    },
    get source() {
      return source
    },
    get clock() {
      return clock
    },
    list: (model = 'candidates', circumstances = {}) =>
      asked(source.attachments?.list({ ...recordOf(model), signal, ...circumstances })),
    content: (attachmentId) =>
      asked(source.attachments?.content?.({ ...recordOf('candidates'), attachmentId, signal })),
  }
}
