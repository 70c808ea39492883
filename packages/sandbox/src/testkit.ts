import { createServer } from 'node:http'
import { createManualClock, type ManualClock } from './manual-clock.ts'
import type { SandboxOptions } from './options.ts'
import { createSandbox, type Sandbox } from './sandbox.ts'

/** For tests only: a small sandbox on a manual clock, and ways to talk to it. */
export interface Rig {
  readonly sandbox: Sandbox
  readonly clock: ManualClock
  readonly url: string
  readonly origin: string
  /** The first integration. */
  readonly id: string
  get(
    path: string,
    integrationId?: string,
  ): Promise<{ readonly status: number; readonly body: Body; readonly headers: Headers }>
  /** All records of a listing, page by page. */
  all(endpoint: string, query?: string, integrationId?: string): Promise<Item[]>
  close(): Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: answers are asserted field by field
export type Item = any
// biome-ignore lint/suspicious/noExplicitAny: answers are asserted field by field
type Body = any

export const SMALL = { jobs: 12, candidates: 60, applications: 150 }

/** Starts a sandbox with small sizes and one integration unless told otherwise. */
export async function startRig(options: SandboxOptions = {}): Promise<Rig> {
  const clock = createManualClock()
  const sandbox = createSandbox({ clock, integrations: 1, sizes: SMALL, rateLimit: null, ...options })
  const { url, origin } = await sandbox.start()
  const id = sandbox.integrations[0] ?? ''
  const get: Rig['get'] = async (path, integrationId = id) => {
    const headers = { authorization: `Bearer ${sandbox.apiKey}`, 'x-integration-id': integrationId }
    const response = await fetch(`${url}${path}`, { headers })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? '' : JSON.parse(text) }
  }
  const all: Rig['all'] = async (endpoint, query = '', integrationId = id) => {
    const items: Item[] = []
    let cursor: string | null = null
    do {
      const next: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const { status, body } = await get(`/ats/${endpoint}?page_size=50&${query}${next}`, integrationId)
      if (status !== 200) throw new Error(JSON.stringify(body))
      items.push(...body.data.results)
      cursor = body.data.next
    } while (cursor !== null)
    return items
  }
  return { sandbox, clock, url, origin, id, get, all, close: () => sandbox.stop() }
}

/** A webhook as it was received. */
export interface Received {
  readonly signature: string
  readonly raw: Buffer
  readonly json: Body
}

/** A receiver of webhooks on loopback; `answer` decides the status of each. */
export async function startReceiver(answer: (received: Received) => number = () => 200) {
  const received: Received[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const raw = Buffer.concat(chunks)
      const entry = {
        signature: String(request.headers['x-kombo-signature']),
        raw,
        json: JSON.parse(raw.toString('utf8')),
      }
      received.push(entry)
      response.writeHead(answer(entry)).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}/hook`,
    received,
    types: () => received.map((each) => each.json.type as string),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
