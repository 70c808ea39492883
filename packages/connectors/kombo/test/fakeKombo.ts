import { type Received, type Scripted, startScriptedServer } from '@tidemark/connector/contract'

export type { Scripted } from '@tidemark/connector/contract'

export interface Seen {
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: Received['headers']
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
  const { origin, close } = await startScriptedServer(({ url, headers }) => {
    const entry = { path: url.pathname, query: Object.fromEntries(url.searchParams), headers }
    seen.push(entry)
    return fake.answer(entry, seen.length - 1)
  })
  return Object.assign(fake, { baseUrl: `${origin}/v1`, seen, close })
}
