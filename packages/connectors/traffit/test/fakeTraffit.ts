import { type Received, type Scripted, startScriptedServer } from '@tidemark/connector/contract'

export type { Scripted } from '@tidemark/connector/contract'

export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: Received['headers']
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
  const { origin, close } = await startScriptedServer(({ method, url, headers, body }) => {
    const entry = { method, path: url.pathname, headers, body }
    const isToken = url.pathname === '/oauth2/token'
    const list = isToken ? minted : seen
    list.push(entry)
    return (isToken ? fake.token : fake.answer)(entry, list.length - 1)
  })
  return Object.assign(fake, { baseUrl: origin, seen, minted, close })
}
