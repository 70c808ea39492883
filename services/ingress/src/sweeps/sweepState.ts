/**
 * What ingress remembers of sweeps, folded from ats.syncs. Keys: `v/<integration>\0<model>` where the last complete run of the model began;
 * `h/<integration>\0<model>` a sweep that is held.
 */
import type { StateReader, StateWrite } from '@tidemark/log'
import type { SyncEvent } from '@tidemark/model'

/** What carrying a sweep out, or out again, needs; the `details` of an event. */
export interface SweepDetails {
  /** By partition. */
  readonly partitions: readonly { readonly beginOffset: number; readonly spared: readonly string[] }[]
  readonly fetchStartedAtMs: number
  readonly causeKind: string
  readonly pages: number | null
  readonly listed: number | null
  readonly namesSuspects: boolean
}

/** A complete run of a model. */
export interface SweptRun {
  readonly syncId: string
  readonly details: SweepDetails
}

/** A sweep that waits for an operator's decision. */
export interface HeldSweep extends SweptRun {
  readonly integrationId: string
  readonly source: string
  readonly model: string
  readonly atMs: number
  readonly suspects: number
  readonly records: number
}

const bytes = (text: string): Buffer => Buffer.from(text)
const runKey = (integrationId: string, model: string): Buffer => bytes(`v/${integrationId}\0${model}`)
const heldKey = (integrationId: string, model: string): Buffer => bytes(`h/${integrationId}\0${model}`)

/** Prefixes of what is known of an integration. */
export const sweepPrefixes = (integrationId: string): Buffer[] => [
  bytes(`v/${integrationId}\0`),
  bytes(`h/${integrationId}\0`),
]

/** Adds the writes of one event about a sweep; nothing for other events. */
export function foldSweepEvent(event: SyncEvent, writes: StateWrite[]): void {
  const { integration_id: id, model, details, sync_id: syncId } = event
  if (model === null || syncId === null) return
  if (event.event === 'swept' && details !== null) {
    writes.push({ key: runKey(id, model), value: bytes(JSON.stringify({ syncId, details: JSON.parse(details) })) })
    // A later complete run says again what is gone.
    writes.push({ key: heldKey(id, model), value: null })
  }
  if (event.event === 'mass_deletion_held' && details !== null) {
    const held: HeldSweep = {
      ...{ integrationId: id, source: event.source, model, syncId, atMs: event.at },
      ...{ suspects: event.suspects ?? 0, records: event.records ?? 0, details: JSON.parse(details) as SweepDetails },
    }
    writes.push({ key: heldKey(id, model), value: bytes(JSON.stringify(held)) })
  }
  if (event.event === 'held_decided') writes.push({ key: heldKey(id, model), value: null })
}

/** The last complete run of a model, if it was swept. */
export function lastSweptRun(state: StateReader, integrationId: string, model: string): SweptRun | undefined {
  const value = state.get(runKey(integrationId, model))
  return value === undefined ? undefined : (JSON.parse(value.toString()) as SweptRun)
}

/** The held sweep of a model. */
export function heldSweep(state: StateReader, integrationId: string, model: string): HeldSweep | undefined {
  const value = state.get(heldKey(integrationId, model))
  return value === undefined ? undefined : (JSON.parse(value.toString()) as HeldSweep)
}

/** Every held sweep, in order of integration and model. */
export function heldSweeps(state: StateReader): HeldSweep[] {
  return [...state.scan(bytes('h/'))].map(({ value }) => JSON.parse(value.toString()) as HeldSweep)
}
