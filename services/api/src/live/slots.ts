/** Requests on their way to providers: a bounded number for each integration, so that none of them takes up the process or the provider. */
import type { FastifyReply } from 'fastify'
import { ApiError } from '../errors.ts'

/** Each may hold an answer of 10 or 20 MB for as long as it lasts. */
export const SLOTS_MAX = 10

export interface Slots {
  /**
   * Does the work in one of the integration's slots, which is free again when the answer is written out or its reader is gone. Tells the answer how many
   * there are and are left, as Kombo does. Throws 429 when all are taken.
   */
  run<T>(integrationId: string, reply: FastifyReply, work: () => Promise<T>): Promise<T>
}

/** The slots of all integrations of a process. */
export function createSlots(max = SLOTS_MAX): Slots {
  const taken = new Map<string, number>()
  const take = (integrationId: string): number => {
    const running = taken.get(integrationId) ?? 0
    if (running < max) taken.set(integrationId, running + 1)
    return max - running - 1
  }
  const release = (integrationId: string): void => {
    const running = (taken.get(integrationId) ?? 1) - 1
    if (running === 0) taken.delete(integrationId)
    else taken.set(integrationId, running)
  }
  return {
    async run(integrationId, reply, work) {
      const left = take(integrationId)
      reply.headers({ 'concurrency-limit': max, 'concurrency-remaining': Math.max(0, left) })
      if (left < 0) throw tooMany(integrationId, max)
      try {
        return await work()
      } finally {
        // Until then its bytes are held here.
        if (reply.raw.closed) release(integrationId)
        else reply.raw.once('close', () => release(integrationId))
      }
    },
  }
}

function tooMany(integrationId: string, max: number): ApiError {
  const message = `${max} requests are on their way to "${integrationId}" already. Send this one when one of them is answered.`
  return new ApiError(429, 'PLATFORM.CONCURRENCY_LIMIT_EXCEEDED', message)
}
