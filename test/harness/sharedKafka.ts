/** One Kafka with a registry for all test files of a run: a broker per file would cost each its start, and the machine its memory. */
import { NO_KAFKA_HINT, startTestKafka, type TestKafka } from './kafka.ts'

export interface SharedKafka {
  /** For the processes of the tests: tells `findKafka` what was found. */
  readonly env: Readonly<Record<string, string>>
  /** In one line: what was found, or why there is none. */
  readonly summary: string
  readonly isFound: boolean
  stop(): Promise<void>
}

/** Finds or starts it, without a registry when only that is missing. Does not throw for want of one; the summary says why. */
export async function shareKafka(): Promise<SharedKafka> {
  try {
    return found(await startTestKafka({ registry: true }), '')
  } catch (withRegistry) {
    try {
      return found(await startTestKafka(), ` (no registry: ${messageOf(withRegistry)})`)
    } catch (error) {
      return missing(messageOf(error))
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function found(kafka: TestKafka, withoutRegistry: string): SharedKafka {
  const { brokers, registryUrl, from } = kafka
  return {
    env: { KAFKA_BROKERS: brokers.join(','), ...(registryUrl ? { KAFKA_REGISTRY: registryUrl } : {}) },
    summary: `${brokers.join(',')}${registryUrl ? `, registry ${registryUrl}` : withoutRegistry}, from ${from}`,
    isFound: true,
    stop: () => kafka.stop(),
  }
}

function missing(reason: string): SharedKafka {
  return {
    // What failed once here would fail, slowly, in every file again. Brokers that are named may come back.
    env: process.env['KAFKA_BROKERS'] ? {} : { TIDEMARK_KAFKA: 'off' },
    summary: `none: ${reason}\n${NO_KAFKA_HINT}`,
    isFound: false,
    stop: async () => undefined,
  }
}
