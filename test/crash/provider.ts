import { systemClock } from '@tidemark/base'
import type { OpenCodec } from '@tidemark/codec'
import type { EventLog } from '@tidemark/log'
import { RAW_TOPIC } from '@tidemark/model'
import type { Sandbox } from '@tidemark/sandbox'

export const API_KEY = 'crash-test-key-0123456789'

interface Status {
  readonly data: {
    readonly services: Readonly<Record<string, { readonly lag?: number }>>
    readonly integrations: readonly { readonly streams: readonly { readonly state: string }[] }[]
  }
}

const get = async <T>(port: number, path: string, integration?: string): Promise<T> => {
  const headers = {
    authorization: `Bearer ${API_KEY}`,
    ...(integration === undefined ? {} : { 'x-integration-id': integration }),
  }
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as T
}

/** The API asks about services elsewhere once a second, and of two services it may hear at moments between which records passed from one to the other. */
const QUIET_MS = 3_000
const GIVE_UP_MS = 180_000

/** Waits until everything fetched is in the tables and nothing is being fetched, and gives up after a while. `isIdle` tells where the API does not know it. */
export async function caughtUp(port: number, isIdle: () => boolean = () => true): Promise<void> {
  const givingUpAt = systemClock.now() + GIVE_UP_MS
  for (let quietSince = systemClock.now(); systemClock.now() - quietSince < QUIET_MS; ) {
    const { data } = await get<Status>(port, '/v1/status')
    const lag = Object.values(data.services).reduce((sum, s) => sum + (s.lag ?? 0), 0)
    const idle = data.integrations.every((i) => i.streams.every((s) => s.state === 'IDLE'))
    if (systemClock.now() > givingUpAt)
      throw new Error(`not caught up within ${GIVE_UP_MS / 1000} s:\n${JSON.stringify(data.services)}`)
    if (lag > 0 || !idle || !isIdle()) quietSince = systemClock.now()
    await systemClock.sleep(150)
  }
}

interface ListPage {
  readonly data: { readonly next: string | null; readonly results: readonly Readonly<Record<string, unknown>>[] }
}

async function listAll(
  read: (path: string) => Promise<ListPage>,
  path: string,
): Promise<Readonly<Record<string, unknown>>[]> {
  const out: Readonly<Record<string, unknown>>[] = []
  let cursor: string | null = null
  do {
    const page: ListPage = await read(
      `${path}?page_size=250${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    out.push(...page.data.results)
    cursor = page.data.next
  } while (cursor !== null)
  return out
}

/** Our answers beside the provider's, field by field; what we time ourselves is left out. Describes the first few that differ. */
export async function compareWithProvider(sandbox: Sandbox, port: number, url: string): Promise<string[]> {
  const wrong: string[] = []
  for (const integration of sandbox.integrations) {
    for (const listing of ['jobs', 'candidates', 'applications']) {
      const ours = await listAll((path) => get<ListPage>(port, path, integration), `/v1/ats/${listing}`)
      const headers = { authorization: `Bearer ${sandbox.apiKey}`, 'x-integration-id': integration }
      const read = async (path: string): Promise<ListPage> => {
        const response = await fetch(`${url}${path.replace('/v1', '')}`, { headers })
        return (await response.json()) as ListPage
      }
      const theirs = await listAll(read, `/v1/ats/${listing}`)
      const byId = new Map(ours.map((record) => [record['id'], record]))
      for (const record of theirs) {
        const difference = differenceOf(byId.get(record['id']), record)
        if (difference !== undefined) wrong.push(`${listing} ${String(record['id'])} of ${integration}: ${difference}`)
        byId.delete(record['id'])
      }
      for (const id of byId.keys())
        wrong.push(`${listing} ${String(id)} of ${integration}: the provider does not have it`)
    }
  }
  return wrong
}

function differenceOf(
  ours: Readonly<Record<string, unknown>> | undefined,
  theirs: Readonly<Record<string, unknown>>,
): string | undefined {
  if (ours === undefined) return 'we do not have it'
  for (const [name, value] of Object.entries(theirs)) {
    if (IGNORED.has(name)) continue
    const [a, b] = [comparable(ours[name]), comparable(value)]
    if (a !== b) return `${name} is ${a.slice(0, 200)}, the provider has ${b.slice(0, 200)}`
  }
  return undefined
}

/** Times of our own, what is not fetched, and bookkeeping: a change of remote_updated_at alone is no change, so the tables keep the older one. */
const IGNORED = new Set(['changed_at', 'remote_data', 'integration_fields', 'remote_updated_at'])

/** Nested lists of records are compared without their order, which nobody promises; lists of plain values with it. */
function comparable(value: unknown): string {
  return JSON.stringify(sorted(value))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(sorted)
    const isRecords = value.some(
      (item) => typeof item === 'object' && item !== null && ('id' in item || 'question' in item),
    )
    return isRecords ? items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : items
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([name]) => !IGNORED.has(name))
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => [name, sorted(member)]),
  )
}

export interface WebhookCheck {
  readonly webhooksAcknowledged: number
  /** Of those, the ones that are not in ats.raw. */
  readonly webhooksLost: number
}

/** Every webhook that was answered with 200 is in ats.raw. */
export async function checkWebhooks(
  sandbox: Sandbox,
  log: EventLog,
  codec: OpenCodec,
  partitions: number,
): Promise<WebhookCheck> {
  const stored = new Set<string>()
  for (let partition = 0; partition < partitions; partition++) {
    const { start, end } = await log.bounds(RAW_TOPIC, partition)
    for (let offset = start; offset < end; ) {
      const { records, nextOffset } = await log.fetch({ topic: RAW_TOPIC, partition, offset })
      for (const { value } of records) {
        const raw = codec.decode('Raw', value as Buffer)
        if (raw.kind === 'webhook') stored.add((JSON.parse(Buffer.from(raw.body).toString()) as { id: string }).id)
      }
      offset = nextOffset
    }
  }
  const acknowledged = sandbox.deliveries.filter((d) => d.delivered)
  return {
    webhooksAcknowledged: acknowledged.length,
    webhooksLost: acknowledged.filter((d) => !stored.has(d.id)).length,
  }
}
