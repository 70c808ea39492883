import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { sendError } from '@tidemark/api'
import { atMost, type Clock, LIMITS, TidemarkError } from '@tidemark/base'
import type { Logger } from '@tidemark/telemetry'
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify'

/** The port of a process, open from before its services run until after they have ended. */
export interface Front {
  readonly url: string
  /** Answers with this application from now on. Requests that the one before has begun end as they began. */
  serve(app: FastifyInstance): Promise<void>
  /** Ends every connection, feeds in order. A second call waits for the first. */
  close(): Promise<void>
}

/** An application to be served by a front; every one has the same limits. */
export function newApplication(logger: Logger): FastifyInstance {
  return fastify({
    loggerInstance: logger as FastifyBaseLogger,
    bodyLimit: LIMITS.webhookBytesMax,
    forceCloseConnections: true,
    logController: new LogController({ disableRequestLogging: true }),
    // Addresses that no route is looked up for (%zz, parts without end) are refused in the same form as everything else.
    frameworkErrors: sendError,
  })
}

export interface FrontOptions {
  readonly host: string
  /** 0 takes any that is free. */
  readonly port: number
  readonly clock: Clock
}

const LAST_ANSWERS_MS = 1000

/** Opens the port. Throws CONFIG_INVALID when another program has it. */
export async function openFront({ host, port, clock }: FrontOptions): Promise<Front> {
  let current: FastifyInstance | undefined
  let closing: Promise<void> | undefined
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    if (current) current.routing(request, response)
    else response.writeHead(503, { 'retry-after': '1' }).end()
  })
  await listen(server, host, port)
  const address = server.address() as { readonly port: number }
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return {
    url: `http://${shown.includes(':') ? `[${shown}]` : shown}:${address.port}`,
    async serve(app) {
      await app.ready()
      const before = current
      current = app
      await before?.close()
    },
    close() {
      closing ??= end()
      return closing
    },
  }

  async function end(): Promise<void> {
    const closed = new Promise((resolve) => server.close(resolve))
    // What streams for ever is ended by its application; answers under way get a moment, what merely stays open does not.
    await current?.close()
    await atMost(clock, LAST_ANSWERS_MS, closed)
    server.closeAllConnections()
    await closed
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error)
      const message = `port: ${port} on ${host} is taken by another program; choose one with --port`
      reject(new TidemarkError('CONFIG_INVALID', message, { cause: error, fields: { key: 'port' } }))
    })
    server.listen(port, host, () => resolve())
  })
}
