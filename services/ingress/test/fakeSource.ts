import { TidemarkError } from '@tidemark/base'
import type {
  Connector,
  FetchOptions,
  Mapped,
  MappedRecord,
  Page,
  Paging,
  PointReads,
  PushedRun,
  Source,
  WebhookEffect,
  WebhookReading,
} from '@tidemark/connector'
import { isModelName, remoteKey } from '@tidemark/model'

/** What one fetch does: yields these pages, then ends, or throws. */
export type Script = (options: FetchOptions) => AsyncIterable<Page> | Iterable<Page>

export interface Fetched {
  readonly integrationId: string
  readonly stream: string
  readonly updatedAfterMs: number | undefined
  readonly atMs: number
}

/** A page of records of one model, named by their ids. */
export function pageOf(model: string, ids: readonly string[], more: Partial<Page> = {}): Page {
  if (!isModelName(model)) throw new RangeError(model)
  const records: MappedRecord[] = ids.map((id) => ({
    model,
    remoteKey: remoteKey(id),
    kind: 'record',
    remoteVersion: null,
    record: { id, name: `name of ${id}` },
  }))
  return {
    route: `GET /${model}`,
    status: 200,
    headers: { 'content-type': 'application/json', 'set-cookie': 'session=secret' },
    body: Buffer.from(JSON.stringify(ids)),
    requestedAtMs: 1_000,
    receivedAtMs: 2_000,
    mapped: { records, childLists: [], failures: [] },
    total: null,
    notOffered: null,
    ...more,
  }
}

export const mapped = (records: readonly MappedRecord[], more: Partial<Mapped> = {}): Mapped => ({
  records,
  childLists: [],
  failures: [],
  ...more,
})

/** A source whose fetches follow scripts, with webhooks `{id, type, integration, streams?, …}` proved by `x-signature: good`. */
export class FakeSource implements Source {
  readonly integrations: readonly string[]
  readonly streams: readonly string[]
  acceptsNewIntegrations = true
  readonly fetched: Fetched[] = []
  /** By default each fetch is one empty page. */
  script: Script
  readonly #now: () => number
  #inFlight = new Map<string, number>()
  /** Most fetches of one stream that were ever in flight at once, and of the whole source. */
  peakPerStream = 0
  peak = 0

  constructor(now: () => number, integrations: readonly string[], streams: readonly string[] = ['tags', 'roles']) {
    this.#now = now
    this.integrations = integrations
    this.streams = streams
    this.script = ({ stream }) => [pageOf(stream, [])]
  }

  /** How its listings page. */
  paging: Paging = 'stable'
  pointReads: PointReads | null = null
  pushes = false

  pagingOf = (): Paging => this.paging

  modelsOf = (stream: string) => (isModelName(stream) ? [stream] : [])

  verifyWebhook: Source['verifyWebhook'] = ({ headers }) => headers['x-signature'] === 'good'

  integrationOf: Source['integrationOf'] = ({ rawBody }) => {
    try {
      return (JSON.parse(Buffer.from(rawBody).toString()) as { integration?: string }).integration ?? null
    } catch {
      return null
    }
  }

  readWebhook: Source['readWebhook'] = ({ rawBody }): WebhookReading => {
    let body: Record<string, unknown>
    try {
      body = JSON.parse(Buffer.from(rawBody).toString()) as Record<string, unknown>
    } catch (cause) {
      throw new TidemarkError('WEBHOOK_UNMAPPABLE', 'no JSON', { cause })
    }
    const { id = null, type, integration = null } = body as { id?: string; type: string; integration?: string }
    return { eventId: id, eventName: type, integrationId: integration, effects: [effectOf(body)] }
  }

  async *fetch(options: FetchOptions): AsyncGenerator<Page> {
    const { integrationId, stream, updatedAfterMs } = options
    this.fetched.push({ integrationId, stream, updatedAfterMs, atMs: this.#now() })
    const key = `${integrationId} ${stream}`
    this.#inFlight.set(key, (this.#inFlight.get(key) ?? 0) + 1)
    this.peakPerStream = Math.max(this.peakPerStream, this.#inFlight.get(key) ?? 0)
    this.peak = Math.max(
      this.peak,
      [...this.#inFlight.values()].reduce((sum, n) => sum + n, 0),
    )
    try {
      yield* this.script(options)
    } finally {
      this.#inFlight.set(key, (this.#inFlight.get(key) ?? 0) - 1)
    }
  }

  checkAccess: Source['checkAccess'] = async () =>
    this.streams
      .flatMap((stream) => this.modelsOf(stream))
      .map((model) => ({ model, ok: true, missing: null, message: null }))

  async close(): Promise<void> {
    this.#inFlight = new Map()
  }
}

type ReadMeaning = NonNullable<(WebhookEffect & { kind: 'read' })['meaning']>

function effectOf(body: Record<string, unknown>): WebhookEffect {
  switch (body['type']) {
    case 'changed':
      return {
        kind: 'fetch',
        streams: body['streams'] as string[],
        unknownModels: (body['unknown'] as string[] | undefined) ?? [],
      }
    case 'created':
    case 'deleted':
    case 'state_changed':
      return { kind: 'integration', event: body['type'], state: 'ACTIVE' }
    case 'synced':
      return { kind: 'provider_sync', state: 'SUCCEEDED', startedAtMs: null }
    case 'read':
      return {
        ...{ kind: 'read', model: 'tags', remoteKeys: body['keys'] as string[] },
        ...(body['meaning'] ? { meaning: body['meaning'] as ReadMeaning } : {}),
      }
    case 'records':
      return {
        ...{ kind: 'records', mapped: pageOf('tags', body['ids'] as string[]).mapped },
        ...(body['run'] ? { run: body['run'] as PushedRun } : {}),
      }
    case 'run_over':
      return {
        ...{ kind: 'pushed_run', run: body['run'] as PushedRun, outcome: body['outcome'] as 'complete' | 'failed' },
        ...{
          events: (body['events'] as number | undefined) ?? null,
          startedAtMs: (body['at'] as number | undefined) ?? null,
          message: null,
        },
      }
    default:
      return { kind: 'ignored', reason: 'no meaning' }
  }
}

export const fakeConnector: Connector = {
  name: 'fake',
  version: '1',
  secretHeaders: ['x-api-token'],
  secretOptions: [],
  parseOptions: (options) => options,
  create: () => {
    throw new RangeError('created by the test')
  },
}
