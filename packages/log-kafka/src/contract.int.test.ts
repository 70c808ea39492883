import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import { logContract, stateContract } from '@tidemark/log/contract'
import { afterAll, describe, it } from 'vitest'
import { findKafka } from '../../../test/harness/kafka.ts'
import { type KafkaLog, openKafka } from './kafka.ts'

const { kafka, skipped } = await findKafka()
afterAll(() => kafka?.stop())

/** A log on the shared broker with a state folder of its own, which can be closed and opened again. */
async function opened(brokers: readonly string[]) {
  const stateDir = mkdtempSync(join(tmpdir(), 'log-kafka-'))
  const open = (): Promise<KafkaLog> => openKafka({ brokers, clientId: 'contract', stateDir, clock: systemClock })
  let data = await open()
  return {
    data: () => data,
    async reopen(): Promise<KafkaLog> {
      await data.close()
      data = await open()
      return data
    },
    async dispose(): Promise<void> {
      await data.close()
      rmSync(stateDir, { recursive: true, force: true })
    },
  }
}

if (kafka) {
  logContract(
    'log-kafka',
    async () => {
      const { data, reopen, dispose } = await opened(kafka.brokers)
      const topicPrefix = `t${randomUUID().slice(0, 8)}-`
      return { log: data().log, topicPrefix, reopen: async () => (await reopen()).log, dispose }
    },
    {
      retention: { skipped: 'a broker applies retention when it pleases' },
      compaction: { skipped: 'a broker compacts when it pleases' },
      atomicAppend: { skipped: 'what else was under way when an append failed may have been written' },
      denseOffsets: { skipped: 'transactions end with a control record' },
      deleteRetentionMs: 0,
      tooLargeBytes: 5_000_000,
      modelRuns: 0,
    },
  )
  stateContract('log-kafka', async () => {
    const { data, reopen, dispose } = await opened(kafka.brokers)
    return {
      state: await data().openState('s'),
      reopen: async () => (await reopen()).openState('s'),
      dispose,
    }
  })
} else {
  describe('log-kafka', () => {
    it.skip(`fulfils the contract of the event log (skipped: ${skipped})`, () => undefined)
  })
}
