import type { Clock } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import { type EventLog, readRange } from '@tidemark/log'
import { COMMANDS_TOPIC, syncEvent } from '@tidemark/model'
import type { Logger } from '@tidemark/telemetry'
import type { IngressState } from './state.ts'
import type { SyncLog } from './syncLog.ts'

export interface LeftoverDeps {
  readonly log: EventLog
  readonly codec: Codec
  readonly clock: Clock
  readonly logger: Logger
  readonly state: IngressState
  readonly syncLog: SyncLog
}

/**
 * Ends the runs that a killed process left open, as CANCELLED, so that nobody waits for them or joins them. Not those whose command is
 * still to be carried out: they begin again under the same id. To be called before this process begins runs of its own; `commandOffsets`
 * is where it will go on in each partition of ats.commands. Durable when resolved.
 */
export async function endLeftoverRuns(deps: LeftoverDeps, commandOffsets: readonly number[]): Promise<void> {
  const { state, syncLog, clock, logger } = deps
  const open = state.openRuns()
  if (open.length === 0) return
  const again = await waitingCommands(deps, commandOffsets)
  const leftover = open.filter(({ id }) => !again.has(id))
  if (leftover.length > 0)
    logger.info({ runs: leftover.length }, 'runs that the last process left open end as cancelled')
  await Promise.all(
    leftover.map(({ id, integrationId, source, kind }) =>
      syncLog.append(
        syncEvent({
          ...{ source, integration_id: integrationId, event: 'finished', at: clock.now(), sync_id: id, kind },
          state: 'CANCELLED',
          message: 'The process that ran this sync ended; what was not fetched is fetched by the runs after it.',
        }),
      ),
    ),
  )
}

/** Ids of the commands from these offsets on. What cannot be read is left to the consumer. */
async function waitingCommands({ log, codec }: LeftoverDeps, offsets: readonly number[]): Promise<Set<string>> {
  const ids = new Set<string>()
  for (const [partition, from] of offsets.entries()) {
    const { end } = await log.bounds(COMMANDS_TOPIC, partition)
    for await (const { value } of readRange(log, COMMANDS_TOPIC, partition, from, end))
      if (value !== null) noteId(codec, value, ids)
  }
  return ids
}

function noteId(codec: Codec, value: Buffer, ids: Set<string>): void {
  try {
    ids.add(codec.decode('Command', value).id)
  } catch {
    // The consumer sets it aside with its reason.
  }
}
