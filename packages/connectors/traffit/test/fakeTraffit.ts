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
  readonly body: string
}

export interface FakeTraffit {
  readonly baseUrl: string
  /** Requests other than those for tokens. */
  readonly seen: readonly Seen[]
  /** Requests for tokens. */
  readonly minted: readonly Seen[]
  /** Decides each answer; the number counts requests from 0. */
  answer: (request: Seen, count: number) => Scripted
  /** Decides the answer to a request for a token; the number counts them from 0. */
  token: (request: Seen, count: number) => Scripted
  close(): Promise<void>
}

/** A page of a listing with all five headers of its paging. */
export const page = (rows: readonly unknown[], number = 1, totalPages = 1, totalCount = rows.length): Scripted => ({
  headers: {
    'x-result-count': String(rows.length),
    'x-result-current-page': String(number),
    'x-result-page-size': '100',
    'x-result-total-count': String(totalCount),
    'x-result-total-pages': String(totalPages),
  },
  body: rows,
})

export const failure = (status: number, message = 'what happened'): Scripted => ({
  status,
  body: { code: status, message },
})

export const granted = (token = 'token-1', seconds = 2_592_000): Scripted => ({
  body: { access_token: token, expires_in: seconds, token_type: 'Bearer', scope: 'employee' },
})

/** Number of the page that a request asks for. */
export const pageOf = ({ headers }: Seen): number => Number(headers['x-request-current-page'])

/** A scripted stand-in for TRAFFIT on a free loopback port. */
export async function startFakeTraffit(): Promise<FakeTraffit> {
  const seen: Seen[] = []
  const minted: Seen[] = []
  const fake = {
    answer: (_request: Seen, _count: number): Scripted => page([]),
    token: (_request: Seen, _count: number): Scripted => granted(),
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { pathname } = new URL(request.url ?? '/', 'http://localhost')
      const body = Buffer.concat(chunks).toString()
      const entry = { method: request.method ?? 'GET', path: pathname, headers: request.headers, body }
      const isToken = pathname === '/oauth2/token'
      const list = isToken ? minted : seen
      list.push(entry)
      write(response, (isToken ? fake.token : fake.answer)(entry, list.length - 1))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(fake, {
    baseUrl: `http://127.0.0.1:${port}`,
    seen,
    minted,
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
