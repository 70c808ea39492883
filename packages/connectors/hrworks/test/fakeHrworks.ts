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
  /** Path below the base URL, with its query. */
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface FakeHrworks {
  readonly baseUrl: string
  /** All requests but those for tokens. */
  readonly seen: Seen[]
  /** Number of tokens asked for. */
  readonly minted: () => number
  /** Decides each answer; the number counts requests from 0. */
  answer: (request: Seen, count: number) => Scripted
  /** Decides the answers to requests for tokens. */
  authenticate: () => Scripted
  close(): Promise<void>
}

/** A JWT with nothing but its expiry, in seconds; its signature is nobody's. */
export const tokenUntil = (expSeconds: number): string =>
  ['{"alg":"none"}', JSON.stringify({ exp: expSeconds }), 'x']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')

/** An error payload of the inferred form. */
export const failure = (status: number, message = 'what happened'): Scripted => ({
  status,
  body: { errors: [{ code: `code_${status}`, message }] },
})

/** A page of applicants or of another list, with the header that leads to the next. */
export function page(
  name: string,
  rows: readonly unknown[],
  at: { readonly page: number; readonly last: number } = { page: 1, last: 1 },
): Scripted {
  const link = (number: number, rel: string): string => `<https://api.hrworks.de/v2/list?page=${number}>; rel="${rel}"`
  const links = [link(1, 'first'), link(at.last, 'last'), ...(at.page < at.last ? [link(at.page + 1, 'next')] : [])]
  return { headers: at.last > 1 ? { link: links.join(', ') } : {}, body: { [name]: rows } }
}

/**
 * A scripted stand-in for HR WORKS' API on a free loopback port. Tokens last until the year 2100 unless told otherwise.
 */
export async function startFakeHrworks(): Promise<FakeHrworks> {
  const seen: Seen[] = []
  let minted = 0
  const fake = {
    answer: (_request: Seen, _count: number): Scripted => page('applicants', []),
    authenticate: (): Scripted => ({ body: { token: tokenUntil(4_102_444_800) } }),
  }
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const path = (request.url ?? '/').replace(/^\/v2/, '')
      if (path === '/authentication') {
        minted++
        write(response, fake.authenticate())
        return
      }
      const { method = 'GET', headers } = request
      const entry = { method, path, headers, body: Buffer.concat(parts).toString() }
      seen.push(entry)
      write(response, fake.answer(entry, seen.length - 1))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(fake, {
    baseUrl: `http://127.0.0.1:${port}/v2`,
    seen,
    minted: () => minted,
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
