import { Readable } from 'node:stream'
import type { OpenCodec } from '@tidemark/codec'
import type { Embedded } from '@tidemark/log-embedded'
import type { SqlStore } from '@tidemark/store'
import { createProjectionReader, type VerifyProgress, verify } from '@tidemark/verify'
import type { FastifyInstance } from 'fastify'
import { PROJECTION_SCHEMA } from './app.ts'
import type { Config } from './config.ts'

export interface VerifyRouteDeps {
  readonly config: Config
  readonly codec: OpenCodec
  readonly embedded: Embedded
  readonly store: SqlStore
}

const PROGRESS_EVERY_MS = 500

/**
 * `POST /v1/verify`: runs the verification in this process (an embedded store has one process) and answers JSON lines:
 * `{"progress": …}` twice a second, at last `{"report": …}`. Ends with the connection.
 */
export function registerVerify(app: FastifyInstance, { config, codec, embedded, store }: VerifyRouteDeps): void {
  app.post('/v1/verify', (request, reply) => {
    const stopping = new AbortController()
    request.raw.socket.on('close', () => stopping.abort())
    const lines = run({ config, codec, embedded, store }, stopping.signal)
    return reply.type('application/x-ndjson').send(Readable.from(lines))
  })
}

async function* run({ config, codec, embedded, store }: VerifyRouteDeps, signal: AbortSignal): AsyncGenerator<string> {
  let latest: VerifyProgress | undefined
  let done = false
  const projection = createProjectionReader(store, PROJECTION_SCHEMA)
  const work = verify(
    { log: embedded.log, codec, projection },
    { partitions: config.partitions, signal, tracked: config.diff.tracked, onProgress: (p) => (latest = p) },
  ).finally(() => {
    done = true
  })
  while (!done && !signal.aborted) {
    await Promise.race([work, new Promise((resolve) => setTimeout(resolve, PROGRESS_EVERY_MS))])
    if (latest && !done) yield `${JSON.stringify({ progress: latest })}\n`
  }
  yield `${JSON.stringify({ report: await work })}\n`
}
