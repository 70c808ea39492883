import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import type { CodecRegistry } from '@tidemark/codec'
import type { EventLog, StateStore } from '@tidemark/log'
import { openEmbedded } from '@tidemark/log-embedded'
import { topicPlans } from '@tidemark/model'

/** A log with its topics and what belongs to it, whichever it is. */
export interface OpenedLog {
  readonly log: EventLog
  readonly registry: CodecRegistry
  openState(name: string): Promise<StateStore>
  /** Applies retention as of a time. Throws where the log does that by itself. */
  maintain(nowMs: number): Promise<unknown>
  /** Ends it, and removes what it kept on this machine. */
  close(): Promise<void>
}

/** The embedded log, in a folder of its own. */
export async function openEmbeddedLog(partitions: number): Promise<OpenedLog> {
  const path = mkdtempSync(join(tmpdir(), 'tidemark-sync-'))
  const embedded = await openEmbedded({ path, clock: systemClock })
  await embedded.log.ensureTopics(topicPlans({ partitions }))
  return {
    log: embedded.log,
    registry: embedded.registry,
    openState: (name) => embedded.openState(name),
    maintain: (nowMs) => embedded.maintain(nowMs),
    async close() {
      await embedded.close()
      rmSync(path, { recursive: true, force: true })
    },
  }
}
