/** An HTTP server on a free loopback port that answers as it is told: what stand-ins for providers are made of. For tests only. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One scripted answer. */
export interface Scripted {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON unless it is text. */
  readonly body?: unknown
  /** Cuts the connection in the middle of the body. */
  readonly cut?: boolean
}

/** A request with its whole body. */
export interface Received {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface ScriptedServer {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string
  close(): Promise<void>
}

/** Starts a server that answers each request, once it is complete, with what `answer` says. */
export async function startScriptedServer(answer: (request: Received) => Scripted): Promise<ScriptedServer> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const { method = 'GET', headers } = request
      const url = new URL(request.url ?? '/', 'http://localhost')
      write(response, answer({ method, url, headers, body: Buffer.concat(parts).toString() }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

function write(response: ServerResponse, { status = 200, headers = {}, body = '', cut = false }: Scripted): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  if (!cut) {
    response.end(text)
    return
  }
  response.write(text.slice(0, text.length / 2))
  setTimeout(() => response.destroy(), 5)
}
