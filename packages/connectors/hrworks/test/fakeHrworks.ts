import { type Received, type Scripted, startScriptedServer } from '@tidemark/connector/contract'

export type { Scripted } from '@tidemark/connector/contract'

export interface Seen {
  readonly method: string
  /** Path below the base URL, with its query. */
  readonly path: string
  readonly headers: Received['headers']
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
  const { origin, close } = await startScriptedServer(({ method, url, headers, body }) => {
    const path = `${url.pathname}${url.search}`.replace(/^\/v2/, '')
    if (path === '/authentication') {
      minted++
      return fake.authenticate()
    }
    const entry = { method, path, headers, body }
    seen.push(entry)
    return fake.answer(entry, seen.length - 1)
  })
  return Object.assign(fake, { baseUrl: `${origin}/v2`, seen, minted: () => minted, close })
}
