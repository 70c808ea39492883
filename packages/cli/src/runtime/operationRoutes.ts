import { Readable } from 'node:stream'
import { type Clock, classify } from '@tidemark/base'
import type { OpenCodec } from '@tidemark/codec'
import type { EventLog } from '@tidemark/log'
import { rebuildProjection } from '@tidemark/projector'
import type { SqlStore } from '@tidemark/store'
import type { Logger, Metrics } from '@tidemark/telemetry'
import { createProjectionReader, verify } from '@tidemark/verify'
import type { FastifyInstance } from 'fastify'
import { type Config, erasureAfterMs } from '../config.ts'
import { PROJECTION_SCHEMA } from './backend.ts'

export interface OperationDeps {
  readonly config: Config
  readonly codec: OpenCodec
  readonly log: EventLog
  readonly store: SqlStore
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

const PROGRESS_EVERY_MS = 500

/**
 * Long work in this process, for stores that have one process: `POST /v1/verify` and `POST /v1/replay/tables[?restart=true&accept_gaps=true]`
 * answer JSON lines, `{"progress": …}` twice a second and at last `{"report": …}` or `{"error": {code, message}}`. They end with the connection.
 * To be registered where requests are authorized; `mayWrite` decides who may rebuild.
 */
export function registerOperationRoutes(
  app: FastifyInstance,
  { config, codec, log, store, clock, logger, metrics }: OperationDeps,
  mayWrite: (request: object) => void,
): void {
  app.post('/v1/verify', (request, reply) => {
    const projection = createProjectionReader(store, PROJECTION_SCHEMA)
    const lines = linesOf(request.raw.socket, (signal, onProgress) =>
      verify(
        { log, codec, projection },
        { partitions: config.partitions, signal, tracked: config.diff.tracked, onProgress },
      ),
    )
    return reply.type('application/x-ndjson').send(Readable.from(lines))
  })
  app.post<{ Querystring: { readonly restart?: string; readonly accept_gaps?: string } }>(
    '/v1/replay/tables',
    (request, reply) => {
      mayWrite(request)
      const deps = { log, store, codec, logger, metrics, clock, schema: PROJECTION_SCHEMA }
      const restart = request.query.restart === 'true'
      const acceptGaps = request.query.accept_gaps === 'true'
      const lines = linesOf(request.raw.socket, (signal, onProgress) =>
        rebuildProjection(deps, { signal, onProgress, restart, acceptGaps, erasureAfterMs: erasureAfterMs(config) }),
      )
      return reply.type('application/x-ndjson').send(Readable.from(lines))
    },
  )
}

interface Closing {
  on(event: 'close', listener: () => void): unknown
}

async function* linesOf<P, R>(
  connection: Closing,
  start: (signal: AbortSignal, onProgress: (progress: P) => void) => Promise<R>,
): AsyncGenerator<string> {
  const stopping = new AbortController()
  connection.on('close', () => stopping.abort())
  let latest: P | undefined
  let done = false
  const onProgress = (progress: P): void => {
    latest = progress
  }
  const work = start(stopping.signal, onProgress).finally(() => {
    done = true
  })
  work.catch(() => undefined)
  const line = (value: object): string => `${JSON.stringify(value)}\n`
  while (!done && !stopping.signal.aborted) {
    await Promise.race([work.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, PROGRESS_EVERY_MS))])
    if (latest !== undefined && !done) yield line({ progress: latest })
  }
  try {
    yield line({ report: await work })
  } catch (error) {
    const { code, message } = classify(error)
    yield line({ error: { code, message } })
  }
}
