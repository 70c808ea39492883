import { within as anyWithin, type Clock, TidemarkError } from '@tidemark/base'

export { atMost } from '@tidemark/base'

/**
 * The promise's outcome, or LOG_UNAVAILABLE after `ms`. kafkajs' calls cannot be cancelled: what is under way goes on, and its outcome is
 * dropped, so only use this where the object it works on is thrown away afterwards.
 */
export const within = <T>(clock: Clock, ms: number, what: string, work: Promise<T>): Promise<T> =>
  anyWithin(clock, ms, work, () => {
    const message = `${what}: Kafka did not answer within ${ms} ms; it may be tried again.`
    return new TidemarkError('LOG_UNAVAILABLE', message)
  })
