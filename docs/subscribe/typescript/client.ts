/** kafkajs, set up so that it neither skips records nor stops without a word. Setting: KAFKA_BROKERS. Elsewhere: npm install kafkajs */
import kafkajs, { type Consumer, type LogEntry } from 'kafkajs'

const { Kafka, logLevel } = kafkajs
const STALL_MS = 60_000

export const kafka = new Kafka({
  clientId: 'ats-subscriber',
  brokers: (process.env['KAFKA_BROKERS'] ?? '127.0.0.1:9092').split(','),
  requestTimeout: 10_000,
  logLevel: logLevel.ERROR,
  logCreator: () => write,
})

/**
 * When the position is no longer in the log, kafkajs logs this one line, commits another position, and goes on there. It logs first, so
 * ending the process here keeps the true position.
 */
function write({ log }: LogEntry): void {
  const { message, timestamp, logger, ...details } = log
  console.error(message, JSON.stringify(details))
  if (message.includes('resetting to default offset')) {
    fail('the log no longer has the records at this position: bootstrap again, or decide from where to go on')
  }
}

export function fail(why: string): never {
  console.error(`stopped: ${why}`)
  process.exit(1)
}

/** Ends the process when the consumer has given up or has stopped fetching; whoever supervises it starts it again. */
export function watch(consumer: Consumer): void {
  let aliveAt = Date.now()
  const alive = (): void => {
    aliveAt = Date.now()
  }
  consumer.on(consumer.events.FETCH, alive)
  consumer.on(consumer.events.END_BATCH_PROCESS, alive)
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) fail(payload.error.message)
  })
  setInterval(() => {
    if (Date.now() - aliveAt > STALL_MS) fail(`nothing was fetched for ${STALL_MS / 1000} s`)
  }, STALL_MS / 10).unref()
}

/** Finishes the batch in work on SIGINT and SIGTERM. */
export function stopOnSignal(stop: () => Promise<void>): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stop().then(() => process.exit(0)))
  }
}
