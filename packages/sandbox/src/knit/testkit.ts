/** For tests only: a simulated Knit in front of a small company on a manual clock, a receiver of its events, and ways to call it. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createManualClock, type ManualClock } from '../manual-clock.ts'
import { World } from '../world/world.ts'
import { createKnitSimulator, type KnitSimulator, type KnitSimulatorOptions } from './index.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers are asserted field by field
type Body = any

/** An event as it was received. */
export interface ReceivedEvent {
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly raw: Buffer
  readonly json: Body
}

export interface Receiver {
  readonly url: string
  readonly received: ReceivedEvent[]
  /** Status of each answer; null closes the connection without one. */
  answer: (event: ReceivedEvent) => number | null
  /** Events of a type, in the order of arrival. */
  of(type: string): Body[]
  close(): Promise<void>
}

/** A receiver on loopback that answers 200 unless told otherwise. */
export async function startReceiver(): Promise<Receiver> {
  const received: ReceivedEvent[] = []
  const state = { answer: (_event: ReceivedEvent): number | null => 200 }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const raw = Buffer.concat(chunks)
      const headers = request.headers as Record<string, string | undefined>
      const event = { headers, raw, json: JSON.parse(raw.toString('utf8')) as Body }
      received.push(event)
      const status = state.answer(event)
      if (status === null) request.socket.destroy()
      else response.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(state, {
    url: `http://127.0.0.1:${port}/hook`,
    received,
    of: (type: string) => received.map(({ json }) => json).filter((json) => json.eventType === type),
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  })
}

export interface KnitRig {
  readonly knit: KnitSimulator
  readonly world: World
  readonly clock: ManualClock
  readonly receiver: Receiver
  readonly url: string
  /** The only integration. */
  readonly id: string
  call(
    method: 'GET' | 'POST',
    call: string,
    body?: object,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; readonly body: Body; readonly headers: Headers }>
  /** Moves the clock on and waits until nothing is being sent. */
  advance(ms: number): Promise<void>
  close(): Promise<void>
}

const SIZES = { jobs: 8, candidates: 20, applications: 30 }

/** Starts all of it. */
export async function startKnitRig(options: Partial<KnitSimulatorOptions> = {}): Promise<KnitRig> {
  const clock = createManualClock()
  const world = new World({ seed: 3, now: () => clock.now(), onMutation: () => undefined })
  const company = world.found(SIZES, 'workable', 'int-1')
  const receiver = await startReceiver()
  const knit = createKnitSimulator({
    clock,
    accounts: [{ company, app: 'workable' }],
    webhookTarget: receiver.url,
    ...options,
  })
  const { url } = await knit.start()
  const call: KnitRig['call'] = async (method, name, body, headers = {}) => {
    const auth = { authorization: `Bearer ${knit.apiKey}`, 'x-knit-integration-id': 'int-1' }
    const init = body === undefined ? {} : { body: JSON.stringify(body) }
    const response = await fetch(`${url}/${name}`, { method, headers: { ...auth, ...headers }, ...init })
    const text = await response.text()
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text, headers: response.headers }
  }
  const advance = async (ms: number): Promise<void> => {
    await clock.advance(ms)
    await knit.settled()
  }
  const close = async (): Promise<void> => {
    await knit.stop()
    await receiver.close()
  }
  return { knit, world, clock, receiver, url, id: 'int-1', call, advance, close }
}
