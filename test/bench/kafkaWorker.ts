/**
 * One phase of `bench -- kafka` in a process of its own. Takes its options as JSON, prints JSON lines; what is measured begins when a line
 * arrives on stdin and ends with the next.
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fromNext, systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { createProcessor, NETWORK_OPTIONS } from '@tidemark/diff-processor'
import type { EventLog, FetchRequest } from '@tidemark/log'
import { openKafka } from '@tidemark/log-kafka'
import { OBSERVED_TOPIC, stateTopics, topicPlans } from '@tidemark/model'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import { memoryRegistry } from '@tidemark/testing/registry'
import { type ReferenceOptions, runReference } from './kafkaReference.ts'
import { endsOf, type Generate, generate } from './kafkaSteps.ts'
import { watchMemory } from './memory.ts'

export interface WorkerOptions {
  readonly phase: 'generate' | 'process' | 'reference'
  readonly brokers: readonly string[]
  readonly stateDir: string
  readonly partitions: number
  readonly generate?: Generate
  readonly batchesAtOnce?: number
  readonly fetchBytesMax?: number
  readonly sliceBytesMax?: number
  /** Does not wait to be told: for the time from a start to the first output. */
  readonly atOnce?: boolean
  readonly reference?: ReferenceOptions
}

export type WorkerLine =
  | { readonly event: 'ready' }
  | { readonly event: 'opened'; readonly partitions: readonly number[] }
  | { readonly event: 'done'; readonly partition: number; readonly atMs: number }
  | { readonly event: 'first'; readonly sinceStartMs: number; readonly sinceAssignedMs: number }
  | WorkerResult

export interface WorkerResult {
  readonly event: 'result'
  readonly startedMs: number
  /** Of a reference. */
  readonly endedMs?: number
  /** Private memory, bytes. */
  readonly peak: number
  readonly cpuSeconds: number
  readonly outcomes: Readonly<Record<string, number>>
}

const options = JSON.parse(process.argv[2] as string) as WorkerOptions
const tell = (line: WorkerLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
const lines = createInterface({ input: process.stdin })
const told = (): Promise<unknown> => once(lines, 'line')

async function open() {
  const { brokers, stateDir } = options
  const kafka = await openKafka({
    brokers,
    stateDir,
    clientId: 'bench',
    clock: systemClock,
    stateTopics,
  })
  return { kafka, codec: await openCodec(memoryRegistry()) }
}

/** A log that shows no observation before its time has come, and tells when partitions were assigned. */
function gated(log: EventLog, isOpen: () => boolean, onAssigned: () => void): EventLog {
  const own: Partial<EventLog> = {
    async fetch(request: FetchRequest) {
      if (request.topic !== OBSERVED_TOPIC || isOpen()) return log.fetch(request)
      await systemClock.sleep(20, request.signal)
      return { records: [], nextOffset: request.offset, endOffset: request.offset }
    },
    assignments: (asked) =>
      log.assignments({
        ...asked,
        onAssigned(partitions, signal) {
          onAssigned()
          return asked.onAssigned(partitions, signal)
        },
      }),
  }
  return new Proxy(log, {
    get(target, name) {
      const found: unknown = Reflect.get(own, name) ?? Reflect.get(target, name)
      return typeof found === 'function' ? found.bind(target) : found
    },
  })
}

async function runProcessor(): Promise<void> {
  const began = performance.now()
  const { kafka, codec } = await open()
  const ends = await endsOf(kafka.log, options.partitions)
  const metrics = createMetrics()
  let isOpen = options.atOnce ?? false
  let assigned = 0
  let isFirst = true
  const log = gated(
    kafka.log,
    () => isOpen,
    () => {
      assigned = performance.now()
    },
  )
  const memory = watchMemory()
  const processor = createProcessor(
    { log, codec, clock: systemClock, random: fromNext(Math.random), logger: silentLogger, metrics },
    {
      ...NETWORK_OPTIONS,
      ...(options.batchesAtOnce === undefined ? {} : { batchesAtOnce: options.batchesAtOnce }),
      ...(options.fetchBytesMax === undefined ? {} : { fetchBytesMax: options.fetchBytesMax }),
      ...(options.sliceBytesMax === undefined
        ? {}
        : { limits: { outputsMax: 40_000, bytesMax: options.sliceBytesMax } }),
      onCommit(partition, position) {
        if (isFirst) {
          const now = performance.now()
          tell({ event: 'first', sinceStartMs: now - began, sinceAssignedMs: now - assigned })
        }
        isFirst = false
        if (position >= (ends[partition] as number)) tell({ event: 'done', partition, atMs: Date.now() })
      },
    },
  )
  processor.start()
  let opened = ''
  const watching = setInterval(() => {
    const running = processor.status().filter(({ state }) => state === 'running')
    const now = running.map(({ partition }) => partition)
    if (String(now) !== opened) tell({ event: 'opened', partitions: now })
    opened = String(now)
  }, 50)
  if (!isOpen) await told()
  isOpen = true
  const startedMs = Date.now()
  const cpuBefore = process.cpuUsage()
  await told()
  clearInterval(watching)
  const cpu = process.cpuUsage(cpuBefore)
  const peak = memory()
  await processor.stop()
  await kafka.close()
  const { values } = await metrics.processed.get()
  const outcomes = Object.fromEntries(values.map(({ labels, value }) => [String(labels.outcome), value]))
  tell({ event: 'result', startedMs, peak, cpuSeconds: (cpu.user + cpu.system) / 1e6, outcomes })
}

switch (options.phase) {
  case 'generate': {
    const { kafka, codec } = await open()
    await kafka.log.ensureTopics(topicPlans({ partitions: options.partitions }))
    if (options.generate) await generate(kafka.log, codec, options.generate)
    await kafka.close()
    tell({ event: 'ready' })
    break
  }
  case 'process':
    await runProcessor()
    break
  case 'reference':
    tell(await runReference(options.reference as ReferenceOptions))
    break
}
lines.close()
process.exit(0)
