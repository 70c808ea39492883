import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One scripted answer of the stand-in. */
export interface Scripted {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON unless it is text. */
  readonly body?: unknown
  /** Cuts the connection in the middle of the body. */
  readonly cut?: boolean
}

export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown
}

export interface FakeKnit {
  readonly baseUrl: string
  readonly seen: readonly Seen[]
  /** Decides each answer; the number counts requests from 0. */
  answer: (request: Seen, count: number) => Scripted
  close(): Promise<void>
}

/** Knit's envelope of success. */
export const success = (data: unknown): Scripted => ({ body: { success: true, data } })

/** The envelope of failure that the connector expects (inferred). */
export const failure = (status: number, msg = 'what happened'): Scripted => ({
  status,
  body: { success: false, error: { msg } },
})

/** A scripted stand-in for Knit's API on a free loopback port. */
export async function startFakeKnit(): Promise<FakeKnit> {
  const seen: Seen[] = []
  const fake = { answer: (_request: Seen, _count: number): Scripted => success({ syncJobId: 'sj_1' }) }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { pathname } = new URL(request.url ?? '/', 'http://localhost')
      const text = Buffer.concat(chunks).toString()
      const body: unknown = text === '' ? undefined : JSON.parse(text)
      const entry = { method: request.method ?? '', path: pathname, headers: request.headers, body }
      seen.push(entry)
      write(response, fake.answer(entry, seen.length - 1))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(fake, {
    baseUrl: `http://127.0.0.1:${port}/v1.0`,
    seen,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  })
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
