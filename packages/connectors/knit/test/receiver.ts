import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Source, WebhookEffect, WebhookRequest } from '@tidemark/connector'
import { readFrame } from '../src/frame.ts'
import type { DiffedState } from './diffed.ts'

export interface Receiver {
  readonly url: string
  /** The source that proves and reads; another one after a change of its configuration. */
  source: Source
  state: DiffedState
  /** Effects of all webhooks that were accepted, in the order of arrival. */
  readonly effects: WebhookEffect[]
  /** Different event ids by run that carried records. */
  readonly received: Map<string, Set<string>>
  /** Status for the accepted; refused ones get 401. */
  status: number
  close(): Promise<void>
}

/** Takes webhooks as ingress does: proved over the bytes, then read, then acted on. `now` is when they are received. */
export async function startReceiver(source: Source, state: DiffedState, now: () => number): Promise<Receiver> {
  const rest = {
    source,
    state,
    status: 200,
    effects: [] as WebhookEffect[],
    received: new Map<string, Set<string>>(),
  }
  const take = (request: WebhookRequest): number => {
    if (!receiver.source.verifyWebhook(request)) return 401
    // What is refused afterwards has not been taken.
    if (receiver.status !== 200) return receiver.status
    const reading = receiver.source.readWebhook(request)
    for (const effect of reading.effects) {
      receiver.effects.push(effect)
      if (effect.kind !== 'records') continue
      receiver.state.see(reading.integrationId ?? '', effect.mapped, now())
      const run = readFrame(request.rawBody).syncRunId ?? ''
      receiver.received.set(run, (receiver.received.get(run) ?? new Set()).add(reading.eventId ?? ''))
    }
    return 200
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const headers = request.headers as Record<string, string | undefined>
      response.writeHead(take({ headers, query: {}, rawBody: Buffer.concat(chunks) })).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const receiver: Receiver = Object.assign(rest, {
    url: `http://127.0.0.1:${port}/webhooks/knit`,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  })
  return receiver
}
