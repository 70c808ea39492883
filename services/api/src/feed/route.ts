import { classify } from '@tidemark/base'
import type { FastifyInstance } from 'fastify'
import { integrationHeader, queryOf, scopeOf } from '../context.ts'
import type { ApiDeps } from '../deps.ts'
import { ApiError, refuseOtherMethods } from '../errors.ts'
import type { Query } from '../params.ts'
import { createDisplay } from './display.ts'
import { runFeed } from './feed.ts'
import { createNames } from './names.ts'
import { FEED_PARAMETERS, parseFeedRequest, resolveStart } from './selection.ts'
import { createSink, type Sink } from './sink.ts'

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
} as const

/** `GET /v1/changes`: the change topics as Server-Sent Events. Returns the number of clients. */
export function registerFeed(app: FastifyInstance, deps: ApiDeps): () => number {
  const { feedClientsMax = 100, heartbeatMs = 15_000, stallMs = 300_000 } = deps.options ?? {}
  const display = createDisplay(createNames(deps.store, deps.schema, deps.clock))
  const sinks = new Map<Sink, Promise<void>>()
  let reserved = 0
  let closing = false

  app.get(
    '/v1/changes',
    { exposeHeadRoute: false, config: { parameters: FEED_PARAMETERS } },
    async (request, reply) => {
      if (closing || sinks.size + reserved >= feedClientsMax) {
        reply.header('retry-after', '5')
        const message = `There are ${feedClientsMax} feed clients already; close one, or try again.`
        throw new ApiError(429, 'PLATFORM.CONCURRENCY_LIMIT_EXCEEDED', message)
      }
      reserved++
      try {
        const wanted = parseFeedRequest(
          feedQuery(queryOf(request), integrationHeader(request)),
          lastEventId(request.headers),
          scopeOf(request),
        )
        const start = await resolveStart(deps.log, wanted)
        reply.hijack()
        const sink = createSink(reply.raw, deps.clock)
        // A hijacked answer has none of the headers that hooks set before, of the request limit for one.
        for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value ?? '')
        reply.raw.writeHead(200, HEADERS)
        const running = runFeed(deps, wanted, start, sink, display, { heartbeatMs, stallMs })
          .catch((error) => {
            // The client resumes from its last id; what hinders that is said in the answer to its next request.
            if (!sink.closed.aborted) deps.logger.warn({ err: classify(error) }, 'a feed ended')
            sink.end(true)
          })
          .finally(() => sinks.delete(sink))
        sinks.set(sink, running)
        // It went away while the start was looked up.
        if (reply.raw.destroyed) sink.end(true)
      } finally {
        reserved--
      }
    },
  )
  app.addHook('preClose', async () => {
    closing = true
    const running = [...sinks.values()]
    for (const sink of sinks.keys()) sink.end()
    await Promise.all(running)
  })
  refuseOtherMethods(app, '/v1/changes', 'GET')
  return () => sinks.size
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

function lastEventId(headers: Headers): string | undefined {
  const value = headers['last-event-id']
  return Array.isArray(value) ? value[0] : value
}

/** The header of the other routes names the integration here too, when no parameter does. */
function feedQuery(query: Query, integration: string | undefined): Query {
  return integration === undefined || query['integration_id'] !== undefined
    ? query
    : { ...query, integration_id: integration }
}
