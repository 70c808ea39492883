import type { Random } from '@tidemark/base'
import type { Mapped, WebhookReading, WebhookRequest } from '@tidemark/connector'
import { type RecordKey, recordKey, remoteKey } from '@tidemark/model'
import type { Company, Op } from './company.ts'
import { mapRow } from './mapping.ts'
import { modelsOf, STREAMS, type StreamName } from './traits.ts'

export const SIGNATURE = 'good'

/** A webhook on its way. */
export interface Sent {
  readonly dueAtMs: number
  readonly body: WebhookBody
}

export interface WebhookBody {
  readonly id: string
  readonly type: string
  readonly integration: string
  /** When it happened at the provider. */
  readonly atMs: number
  /** Listings that have changed. */
  readonly streams?: readonly StreamName[]
  /** Records as they were then. */
  readonly mapped?: Mapped
}

/** Reads a webhook of the provider; pure. */
export function readWebhook({ rawBody }: WebhookRequest): WebhookReading {
  const body = JSON.parse(Buffer.from(rawBody).toString()) as WebhookBody
  const { id, type, integration, streams = [], mapped } = body
  const effect = mapped
    ? ({ kind: 'records', mapped } as const)
    : ({ kind: 'fetch', streams, unknownModels: [] } as const)
  return { eventId: id, eventName: type, integrationId: integration, effects: [effect] }
}

const HOUR_MS = 3_600_000

/** Webhooks that the provider sends of what happens: at once or much later, once, twice, or never. */
export class Outbox {
  #sent: Sent[] = []
  #number = 0
  /** When the event of a webhook happened, by the webhook's id. */
  readonly happenedAt = new Map<string, number>()

  announce(company: Company, op: Op, atMs: number, random: Random): void {
    if (random.chance(0.15)) return
    const isLate = random.chance(0.15)
    const delayMs = isLate ? (random.chance(0.4) ? 96 * HOUR_MS : random.int(12 * HOUR_MS)) : 0
    const body = this.#body(company, op, atMs, random)
    this.happenedAt.set(body.id, atMs)
    const copies = random.chance(0.1) ? 2 : 1
    for (let i = 0; i < copies; i++) this.#sent.push({ dueAtMs: atMs + delayMs + i * random.int(HOUR_MS), body })
  }

  /** Takes what is due. */
  takeDue(nowMs: number): WebhookBody[] {
    const due = this.#sent.filter(({ dueAtMs }) => dueAtMs <= nowMs)
    this.#sent = this.#sent.filter(({ dueAtMs }) => dueAtMs > nowMs)
    return due.map(({ body }) => body)
  }

  /** Nobody took it: the provider tries again. */
  retry(body: WebhookBody, nowMs: number): void {
    this.#sent.push({ dueAtMs: nowMs + HOUR_MS / 4, body })
  }

  #body(company: Company, op: Op, atMs: number, random: Random): WebhookBody {
    const { kind, row } = op
    const base = { id: `e${this.#number++}`, integration: company.integration, atMs }
    if (random.chance(0.55)) {
      const streams = random.chance(0.8) ? [row.stream] : STREAMS
      return { ...base, type: `${row.stream} changed`, streams }
    }
    return { ...base, type: `${row.stream} ${kind}`, mapped: bearing(company, op, random) }
  }
}

/** What a webhook says of a record itself. */
function bearing(company: Company, { kind, row, mergedInto }: Op, random: Random): Mapped {
  const { hasVersions } = company.traits[row.stream]
  const base = { model: row.stream, remoteKey: remoteKey(row.id), remoteVersion: hasVersions ? row.version : null }
  const evidence = { kind: 'provider_event', detail: kind } as const
  const only = (record: Mapped['records'][number]): Mapped => ({ records: [record], childLists: [], failures: [] })
  if (kind === 'remove') return only({ ...base, kind: 'deleted', record: {}, evidence })
  if (kind === 'merge' && mergedInto !== undefined)
    return only({ ...base, kind: 'merged', mergedIntoId: mergedInto, record: {}, evidence })
  if (kind === 'anonymize') return only({ ...base, kind: 'anonymized', record: row.fields })
  const { records, childLists } = mapRow(company, row)
  const isWhole = random.chance(0.3)
  return { records: isWhole ? records : records.slice(0, 1), childLists: isWhole ? childLists : [], failures: [] }
}

/** Record keys that a webhook says something about; of complete child lists the parent's. */
export function keysOf({ integration, mapped }: WebhookBody): RecordKey[] {
  const records = mapped?.records ?? []
  const lists = mapped?.childLists ?? []
  return [
    ...records.map(({ model, remoteKey: remote }) => recordKey(integration, model, remote)),
    ...lists.map(({ parentModel, parentRemoteKey }) => recordKey(integration, parentModel, parentRemoteKey)),
  ]
}

export const isOfStream = (stream: StreamName, model: string): boolean =>
  (modelsOf(stream) as readonly string[]).includes(model)
