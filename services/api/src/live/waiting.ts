import { abortable } from '@tidemark/base'
import type { FastifyReply } from 'fastify'
import type { ApiDeps } from '../deps.ts'
import { inputInvalid } from '../errors.ts'

const PROVIDER_MS = 100_000

/**
 * Asks a provider for as long as somebody waits for the answer. Throws what the work throws, and what `timedOut` gives for the ms that were too
 * few.
 */
export async function whileWaiting<T>(
  { options }: Pick<ApiDeps, 'options'>,
  reply: FastifyReply,
  timedOut: (ms: number) => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ms = options?.providerMs ?? PROVIDER_MS
  const leaving = new AbortController()
  const leave = (): void => leaving.abort(inputInvalid('Nobody waits for the answer.'))
  if (reply.raw.closed) leave()
  reply.raw.once('close', leave)
  try {
    return await abortable(ms, leaving.signal, work)
  } catch (error) {
    if (error instanceof DOMException && error.name === 'TimeoutError') throw timedOut(ms)
    throw error
  } finally {
    reply.raw.off('close', leave)
  }
}
