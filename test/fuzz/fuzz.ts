/** Sends mutated webhooks to the routes of all connectors, as the receiver serves them, and reads what was stored as ingress does. */
import { type Random, seededRandom, systemClock, TidemarkError } from '@tidemark/base'
import { type Codec, openCodec } from '@tidemark/codec'
import type { Source, WebhookRequest } from '@tidemark/connector'
import { createWebhookReceiver } from '@tidemark/ingress'
import type { AppendRecord, EventLog } from '@tidemark/log'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import { memoryRegistry } from '@tidemark/testing'
import fastify from 'fastify'
import { observe } from '../../services/ingress/src/observe.ts'
import { mutate } from './mutate.ts'
import { type FuzzTarget, TARGETS } from './targets.ts'

export interface FuzzOptions {
  readonly bodies: number
  readonly seed: number
  readonly onProgress?: (done: number) => void
}

export interface FuzzResult {
  readonly byStatus: ReadonlyMap<number, number>
  /** What must not happen, the first of it. */
  readonly problems: readonly string[]
  readonly stored: number
  /** Bodies of what was stored that mean nothing, and say so. */
  readonly unmappable: number
  /** Heap after a collection, when a tenth was done and at the end, in bytes. */
  readonly heap: readonly [number, number]
}

const PARTITIONS = 3
const PROBLEMS_MAX = 20
/** Nobody who may not be believed gets anything else. */
const EXPECTED = new Set([200, 401, 413])

interface Sent {
  readonly target: FuzzTarget
  readonly source: Source
  readonly request: WebhookRequest
  readonly isProved: boolean
}

export async function fuzzWebhooks({ bodies, seed, onProgress }: FuzzOptions): Promise<FuzzResult> {
  const random = seededRandom(seed)
  const codec = await openCodec(memoryRegistry())
  const sources = TARGETS.map((target) => {
    const { connector, options } = target
    const source = connector.create(connector.parseOptions(options), { clock: systemClock, random })
    return { name: connector.name, connector, source, target }
  })
  const log = new Kept()
  const receiver = createWebhookReceiver({
    ...{ sources, clock: systemClock, random, logger: silentLogger, metrics: createMetrics() },
  })
  receiver.connect({ log: log as unknown as EventLog, codec, partitions: PARTITIONS })
  const app = fastify()
  receiver.registerRoutes(app)
  const counts = { stored: 0, unmappable: 0 }
  const byStatus = new Map<number, number>()
  const problems: string[] = []
  const heap = [0, 0] as [number, number]
  const note = (sent: Sent, what: string): void => {
    const body = Buffer.from(sent.request.rawBody).subarray(0, 300).toString('base64')
    if (problems.length < PROBLEMS_MAX)
      problems.push(`${sent.target.connector.name}: ${what}; the body begins (base64) ${body}`)
  }
  for (let i = 0; i < bodies; i++) {
    const { target, source } = random.pick(sources)
    const sent = make(target, source, random)
    const { headers, query, rawBody } = sent.request
    const url = `/webhooks/${target.connector.name}?${new URLSearchParams(query as Record<string, string>)}`
    const payload = Buffer.from(rawBody)
    const response = await app.inject({ method: 'POST', url, payload, headers: headers as Record<string, string> })
    byStatus.set(response.statusCode, (byStatus.get(response.statusCode) ?? 0) + 1)
    if (!EXPECTED.has(response.statusCode)) note(sent, `answered ${response.statusCode} ${response.body.slice(0, 200)}`)
    const kept = log.take()
    if (sent.isProved && response.statusCode === 401) note(sent, 'was proved and is refused')
    if (kept > 0 && !sent.isProved)
      note(sent, `is stored without a proof; it was sent with ${JSON.stringify({ headers, query })}`)
    if (response.statusCode === 200 && kept !== 1) note(sent, `is acknowledged and stored ${kept} times`)
    counts.stored += kept
    if (kept > 0 && !isRead(codec, sent, note)) counts.unmappable++
    if (i === Math.floor(bodies / 10)) heap[0] = collectedHeap()
    if (i % 1000 === 0) onProgress?.(i)
  }
  heap[1] = collectedHeap()
  await app.close()
  for (const { source } of sources) await source.close()
  return { byStatus, problems, ...counts, heap }
}

/** Counts what is appended, and keeps nothing. */
class Kept {
  #appended = 0

  async append(records: readonly AppendRecord[]): Promise<number[]> {
    this.#appended += records.length
    return records.map(() => 0)
  }

  take(): number {
    const appended = this.#appended
    this.#appended = 0
    return appended
  }
}

function make(target: FuzzTarget, source: Source, random: Random): Sent {
  const body = mutate(random.pick(target.payloads), random)
  const proof = target.prove(body)
  if (proof === null) return { target, source, request: { headers: {}, query: {}, rawBody: body }, isProved: false }
  if (random.chance(0.7)) return { target, source, request: { ...proof, rawBody: body }, isProved: true }
  const spoiled = random.chance(0.5) ? { headers: {}, query: {} } : spoil(proof, random)
  return { target, source, request: { ...spoiled, rawBody: body }, isProved: false }
}

/** Every value of a proof with one character changed, or cut. */
function spoil(
  proof: Pick<WebhookRequest, 'headers' | 'query'>,
  random: Random,
): Pick<WebhookRequest, 'headers' | 'query'> {
  const wrong = (values: Readonly<Record<string, string | undefined>>): Record<string, string> =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, changed(value ?? '', random)]))
  return { headers: wrong(proof.headers), query: wrong(proof.query) }
}

function changed(text: string, random: Random): string {
  const at = random.int(text.length)
  if (random.chance(0.3)) return text.slice(0, at)
  // In hexadecimal `a` and `A` prove the same.
  return text.slice(0, at) + (/a/i.test(text[at] ?? '') ? 'B' : 'A') + text.slice(at + 1)
}

/** True when what was stored is read; it may mean nothing, but then it says so. */
function isRead(codec: Codec, sent: Sent, note: (sent: Sent, what: string) => void): boolean {
  try {
    const { headers, rawBody } = sent.request
    // The query holds secrets and is not stored.
    const { effects } = sent.source.readWebhook({ headers, query: {}, rawBody })
    for (const effect of effects) if (effect.kind === 'records') observe(codec, PARTITIONS, effect.mapped, SIGHTING)
    return true
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.code !== 'WEBHOOK_UNMAPPABLE')
      note(sent, `is read with ${String(error)}`)
    return false
  }
}

const SIGHTING = {
  ...{ source: 'fuzz', integrationId: 'acme:1', fetchStartedAtMs: 1, observedAtMs: 2 },
  cause: {
    ...{ kind: 'webhook', sync_id: null, event_name: 'fuzz', event_id: null, actor: null, evidence: null },
    raw: { partition: 0, offset: 0 },
  },
}

function collectedHeap(): number {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8')
  const { runInNewContext } = process.getBuiltinModule('node:vm')
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}
