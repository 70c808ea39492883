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
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: IncomingMessage['headers']
}

export interface FakeKombo {
  readonly baseUrl: string
  readonly seen: readonly Seen[]
  /** Decides each answer; the number counts requests from 0. */
  answer: (request: Seen, count: number) => Scripted
  close(): Promise<void>
}

/** Kombo's envelope around a page of rows. */
export const page = (results: readonly unknown[], next: string | null = null): Scripted => ({
  body: { status: 'success', data: { next, results } },
})

/** Kombo's error envelope. */
export const failure = (status: number, code: string | null, message = 'what happened'): Scripted => ({
  status,
  body: { status: 'error', error: { code, title: null, message, log_url: null } },
})

/** A scripted stand-in for Kombo's API on a free loopback port. */
export async function startFakeKombo(): Promise<FakeKombo> {
  const seen: Seen[] = []
  const fake = { answer: (_request: Seen, _count: number): Scripted => page([]) }
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const entry = { path: url.pathname, query: Object.fromEntries(url.searchParams), headers: request.headers }
    seen.push(entry)
    write(response, fake.answer(entry, seen.length - 1))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(fake, {
    baseUrl: `http://127.0.0.1:${port}/v1`,
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
