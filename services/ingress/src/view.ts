import type { Codec } from '@tidemark/codec'
import type { EventLog, StateStore } from '@tidemark/log'
import type { Logger } from '@tidemark/telemetry'
import type { NamedSource } from './fetchStream.ts'
import { healthOf } from './health.ts'
import { liveIntegrations } from './integrations.ts'
import { IngressState } from './state.ts'
import { type IntegrationStatus, storedStatus } from './status.ts'
import type { HeldSweep } from './sweeps/sweepState.ts'

export interface IntegrationViewDeps {
  readonly log: EventLog
  /** Cache of what ats.syncs says; of its own, not the one of ingress. */
  readonly state: StateStore
  readonly codec: Codec
  readonly logger: Logger
  /** None: the integrations that ingress has ever asked for, as where it reads the sandbox. */
  readonly sources: readonly NamedSource[]
  readonly partitions: number
}

/** The integrations as ats.syncs tells them, for processes in which ingress does not run. */
export interface IntegrationView {
  /** As of the last refresh. What only ingress itself knows (progress, next attempt, error) is empty. */
  list(): IntegrationStatus[]
  /** Mass deletions that wait for a decision, as of the last refresh. */
  held(): HeldSweep[]
  /** Reads what ats.syncs has got since. */
  refresh(): Promise<void>
}

export function createIntegrationView(deps: IntegrationViewDeps): IntegrationView {
  const { log, codec, logger, partitions } = deps
  const sources = new Map(deps.sources.map((source) => [source.name, source]))
  const state = new IngressState(deps.state, partitions)
  const read = (): Read[] =>
    sources.size === 0
      ? [...state.streams()].map(([id, { source, streams }]) => ({ id, source, streams, from: undefined }))
      : liveIntegrations(sources, state).map(({ id, source: from }) => ({
          ...{ id, source: from.name, streams: from.source.streams, from },
        }))
  return {
    list: () =>
      read().map(({ id, source, streams, from }) => ({
        integrationId: id,
        source,
        isWaitingForProvider: false,
        health: healthOf(state, id, streams),
        streams: streams.map((stream) => ({
          ...storedStatus(state, from, id, stream),
          ...{ state: 'idle', lastStartedAtMs: null, lastEndedAtMs: null, nextAttemptAtMs: null },
          ...{ pages: 0, counts: [], error: null },
        })),
      })),
    held: () => state.heldSweeps(),
    refresh: () => state.restore(log, codec, logger),
  }
}

interface Read {
  readonly id: string
  readonly source: string
  readonly streams: readonly string[]
  readonly from: NamedSource | undefined
}
