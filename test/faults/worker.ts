/** A processor as a process of its own, for tests that stop it: shares the partitions, says on stdout what it commits and how it fails. */
import { fromNext, systemClock } from '@tidemark/base'
import { createProcessor } from '@tidemark/diff-processor'
import { openKafka } from '@tidemark/log-kafka'
import { createLogger, createMetrics } from '@tidemark/telemetry'
import { LIMITS, QUIET, SLICE_RECORDS, stateTopics, testCodec } from './stage.ts'

export interface WorkerOptions {
  readonly brokers: readonly string[]
  readonly stateDir: string
  readonly sessionTimeoutMs: number
}

export type WorkerLine =
  | { readonly event: 'committed'; readonly partition: number; readonly position: number }
  | { readonly event: 'failed'; readonly code: string; readonly partition: number | undefined }
  | { readonly event: 'stopped' }

const STOPPED_MS_MAX = 120_000

const { brokers, stateDir, sessionTimeoutMs } = JSON.parse(process.argv[2] as string) as WorkerOptions
const tell = (line: WorkerLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`)

const { log, close } = await openKafka({
  brokers,
  clientId: 'processor',
  stateDir,
  clock: systemClock,
  logger: QUIET,
  stateTopics,
  // Longer than it is stopped for: what it was about to write must be refused by the brokers, not given up by its own clock.
  requestTimeoutMs: STOPPED_MS_MAX,
  transactionTimeoutMs: STOPPED_MS_MAX,
})
const destination = {
  write(text: string): void {
    const { code, partition } = JSON.parse(text) as { code: string; partition?: number }
    tell({ event: 'failed', code, partition })
  },
}
const processor = createProcessor(
  {
    log,
    codec: await testCodec(),
    clock: systemClock,
    random: fromNext(Math.random),
    logger: createLogger({ level: 'error', destination }),
    metrics: createMetrics(),
  },
  {
    batchesAtOnce: 4,
    fetchMax: SLICE_RECORDS,
    limits: LIMITS,
    sessionTimeoutMs,
    onCommit: (partition, position) => tell({ event: 'committed', partition, position }),
  },
)
processor.start()
process.once('SIGTERM', () => {
  void processor
    .stop()
    .then(close)
    .then(() => {
      tell({ event: 'stopped' })
      process.exit(0)
    })
})
