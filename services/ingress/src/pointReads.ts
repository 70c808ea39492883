import type { Clock } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { ChildList, MappedRecord, PointRead } from '@tidemark/connector'
import type { EventLog } from '@tidemark/log'
import { childModels, type ModelName, type ObservationCause, parseRecordKey, type RawPosition } from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import { countObserved, type NamedSource, storePage } from './fetchStream.ts'
import { observe } from './observe.ts'

export interface PointReadDeps {
  readonly log: EventLog
  readonly codec: Codec
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly partitions: number
}

export interface Suspects {
  readonly from: NamedSource
  readonly integrationId: string
  readonly stream: string
  readonly model: ModelName
  readonly syncId: string
  readonly causeKind: string
  readonly confirmedBy: string | null
  /** Record keys. */
  readonly keys: readonly string[]
}

/**
 * Asks the provider for each suspect. One that exists is observed, as if a webhook had named it; one that does not is observed as deleted, with the
 * answer as evidence, and its children with it. Returns how many do not exist. Throws what the source or the log threw: what was
 * settled before stays, and asking again changes nothing about it.
 */
export async function confirmByPointReads(
  deps: PointReadDeps,
  suspects: Suspects,
  signal: AbortSignal,
): Promise<number> {
  const { from, integrationId, model, keys } = suspects
  const { pointReads } = from.source
  if (!pointReads) throw new RangeError(`${from.name} has no point reads`)
  const remoteKeys = keys.flatMap((key) => parseRecordKey(key)?.remote ?? [])
  let deleted = 0
  const onRetry = (retry: object): void =>
    deps.logger.warn({ ...retry, source: from.name, integration_id: integrationId, model }, 'point read waits')
  for await (const answer of pointReads.read({ integrationId, model, remoteKeys, signal, onRetry })) {
    signal.throwIfAborted()
    await observeAnswer(deps, suspects, answer)
    deleted += answer.absent.length
  }
  signal.throwIfAborted()
  return deleted
}

async function observeAnswer(deps: PointReadDeps, suspects: Suspects, answer: PointRead): Promise<void> {
  const { from, integrationId, model, stream, syncId, causeKind, confirmedBy } = suspects
  const cause = {
    ...{ kind: causeKind, sync_id: syncId, event_name: 'point_read', event_id: null },
    ...{ actor: confirmedBy, evidence: null },
  }
  const { raw } = await storePage(deps, from, { integrationId, stream }, answer, cause)
  const became = (absent: PointRead['absent'][number]): MappedRecord => absence(model, absent, answer)
  await observeAbsences(deps, { from, integrationId, model, cause, raw }, answer, became)
}

/** What absences are observed under. */
export interface AbsenceContext {
  readonly from: NamedSource
  readonly integrationId: string
  readonly model: ModelName
  readonly cause: Omit<ObservationCause, 'raw'>
}

/** Observes what an answer shows to be absent, as what `became` says of it, and its children as gone with it. */
export async function observeAbsences(
  deps: Omit<PointReadDeps, 'clock'>,
  { from, integrationId, model, cause, raw }: AbsenceContext & { readonly raw: RawPosition },
  answer: PointRead,
  became: (absent: PointRead['absent'][number]) => MappedRecord,
): Promise<void> {
  if (answer.absent.length === 0) return
  const { log, codec, partitions, metrics } = deps
  const records = answer.absent.map(became)
  const childLists = answer.absent.flatMap(({ remoteKey }) => noChildren(model, remoteKey))
  const sighting = {
    source: from.name,
    integrationId,
    fetchStartedAtMs: answer.requestedAtMs,
    observedAtMs: answer.receivedAtMs,
    cause: { ...cause, raw },
  }
  const observed = observe(codec, partitions, { records, childLists, failures: [] }, sighting)
  await log.append(observed.appends)
  countObserved(metrics, integrationId, observed.tally, observed.deadLetters)
}

function absence(model: ModelName, absent: PointRead['absent'][number], { route, status }: PointRead): MappedRecord {
  const detail = `${route.split('?')[0]} answered ${status} without it`
  return {
    ...{ model, ...absent, kind: 'deleted', remoteVersion: null },
    evidence: { kind: 'point_read', detail },
  }
}

/** A record that does not exist has no children. */
const noChildren = (parentModel: ModelName, parentRemoteKey: string): ChildList[] =>
  childModels(parentModel).map((model) => ({ parentModel, parentRemoteKey, model, children: [] }))
