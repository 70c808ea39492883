/**
 * A limit on requests, per API key. @fastify/rate-limit was looked at: it counts with Date.now() unless its counter is replaced, which
 * leaves its headers only, and it runs behind a route's own hooks, so that answers with 405 would carry none. This is less code than that.
 */
import type { FastifyInstance } from 'fastify'
import { scopeOf } from './context.ts'
import type { ApiDeps } from './deps.ts'
import { ApiError } from './errors.ts'

/** So many requests in a window that begins with the first of them. */
export interface RateLimit {
  readonly requests: number
  readonly windowMs: number
}

/** What Kombo's documentation shows in its samples; that its window is a minute is implied there, not stated. */
export const USUAL_LIMIT: RateLimit = { requests: 300, windowMs: 60_000 }

/** What is left of a window after one more request. */
export interface Allowance {
  readonly allowed: boolean
  readonly remaining: number
  /** Until the window ends. */
  readonly resetMs: number
}

interface Window {
  readonly startedAt: number
  taken: number
}

const CLIENTS_MAX = 10_000

/**
 * Counts requests per client in fixed windows. Of more than `clientsMax` clients at a time those whose windows are oldest are forgotten,
 * so memory stays bounded; they begin anew. A clock that is set back begins a new window too.
 */
export function createWindows(
  { requests, windowMs }: RateLimit,
  clientsMax: number = CLIENTS_MAX,
): (client: unknown, nowMs: number) => Allowance {
  const windows = new Map<unknown, Window>()
  const current = (client: unknown, nowMs: number): Window => {
    const last = windows.get(client)
    if (last && nowMs >= last.startedAt && nowMs < last.startedAt + windowMs) return last
    // Taken out first, so that the map stays in the order in which windows began.
    windows.delete(client)
    const oldest = windows.keys().next()
    if (windows.size >= clientsMax && !oldest.done) windows.delete(oldest.value)
    const window = { startedAt: nowMs, taken: 0 }
    windows.set(client, window)
    return window
  }
  return (client, nowMs) => {
    const window = current(client, nowMs)
    const allowed = window.taken < requests
    if (allowed) window.taken++
    return { allowed, remaining: requests - window.taken, resetMs: window.startedAt + windowMs - nowMs }
  }
}

/** The limit that holds: what the options say, else the usual one, or none where no keys are configured (a trial on one machine). */
export function limitOf({ apiKeys, options }: Pick<ApiDeps, 'apiKeys' | 'options'>): RateLimit | undefined {
  const limit = options?.rateLimit ?? (apiKeys.length > 0 ? USUAL_LIMIT : false)
  return limit === false ? undefined : limit
}

/**
 * Limits the requests of every route registered here, per API key, or per address where there are no keys, and says what is left in
 * `ratelimit-*` headers (seconds). Refused requests are answered with 429 and do not count. To be called behind authorization, so that
 * nobody can use up the requests of a key that they do not have.
 */
export function limitRequests(app: FastifyInstance, deps: ApiDeps): void {
  const limit = limitOf(deps)
  if (!limit) return
  const take = createWindows(limit)
  app.addHook('onRequest', async (request, reply) => {
    const scope = scopeOf(request)
    const client = scope.name === null ? request.raw.socket.remoteAddress : scope
    const { allowed, remaining, resetMs } = take(client, deps.clock.now())
    const seconds = Math.ceil(resetMs / 1000)
    reply.headers({
      'ratelimit-limit': limit.requests,
      'ratelimit-remaining': remaining,
      'ratelimit-reset': seconds,
    })
    if (allowed) return
    reply.header('retry-after', seconds)
    const message = `More than ${limit.requests} requests in ${limit.windowMs / 1000} s. Try again in ${seconds} s; the limit is api.rate_limit in the configuration.`
    throw new ApiError(429, 'PLATFORM.RATE_LIMIT_EXCEEDED', message)
  })
}
