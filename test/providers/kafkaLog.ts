import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import { PROCESSOR_GROUP } from '@tidemark/diff-processor'
import { openKafka } from '@tidemark/log-kafka'
import { stateTopics, topicPlans } from '@tidemark/model'
import { memoryRegistry } from '../../packages/testing/src/registry.ts'
import { startTestKafka } from '../harness/kafka.ts'
import type { OpenedLog } from '../sync/openedLog.ts'
import { prefixedLog } from './prefixedLog.ts'

/** A cluster on which several logs can be opened, one for each play. */
export interface KafkaLogs {
  open(partitions: number): Promise<OpenedLog>
  stop(): Promise<void>
}

/** Finds a Kafka or starts one, see the harness; throws why there is none. */
export async function startKafkaLogs(): Promise<KafkaLogs> {
  const kafka = await startTestKafka()
  return {
    open: (partitions) => openKafkaLog(kafka.brokers, partitions),
    stop: () => kafka.stop(),
  }
}

/** tidemark's topics on a cluster, under names of their own. */
export async function openKafkaLog(brokers: readonly string[], partitions: number): Promise<OpenedLog> {
  const prefix = `providers-${randomUUID().slice(0, 8)}-`
  const stateDir = mkdtempSync(join(tmpdir(), 'tidemark-providers-'))
  const kafka = await openKafka({
    ...{ brokers, clientId: 'providers', clock: systemClock, stateDir },
    stateTopics: ({ group }) =>
      group === prefix + PROCESSOR_GROUP ? stateTopics().map((topic) => prefix + topic) : [],
  })
  const log = prefixedLog(kafka.log, prefix)
  // Simulated time is long over for a broker, who would remove what is old.
  await log.ensureTopics(topicPlans({ partitions }).map((plan) => ({ ...plan, retentionMs: null })))
  return {
    ...{ log, registry: memoryRegistry() },
    openState: (name) => kafka.openState(name),
    maintain: async () => {
      throw new RangeError('Kafka looks after its own retention')
    },
    async close() {
      await kafka.close()
      rmSync(stateDir, { recursive: true, force: true })
    },
  }
}
