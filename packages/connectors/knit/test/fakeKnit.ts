import { type Received, type Scripted, startScriptedServer } from '@tidemark/connector/contract'

export type { Scripted } from '@tidemark/connector/contract'

export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: Received['headers']
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
  const { origin, close } = await startScriptedServer(({ method, url, headers, body: text }) => {
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    const entry = { method, path: url.pathname, headers, body }
    seen.push(entry)
    return fake.answer(entry, seen.length - 1)
  })
  return Object.assign(fake, { baseUrl: `${origin}/v1.0`, seen, close })
}
