import { Reader } from '@tidemark/codec'
import type { Applied, Op, Outcome } from '@tidemark/diff'
import { type ModelCount, type ModelName, modelCount, type SyncEvent, syncEvent } from '@tidemark/model'

/**
 * A full pass that looks for drift finds what the feed should have brought. A change that was younger than this when its page was asked
 * for may still have been on its way: webhooks are debounced by half a minute, and polled sources report within minutes.
 */
export const DRIFT_GRACE_MS = 600_000

type Counts = { -readonly [K in keyof ModelCount]: ModelCount[K] }

/** One run of one integration. */
interface Entry {
  /** As encoded in an observation: integration id; kind of the cause and sync id. */
  readonly integration: Buffer
  readonly cause: Buffer
  readonly integrationId: string
  readonly syncId: string
  readonly kind: string
  readonly models: Map<ModelName, Counts>
}

/**
 * What the observations of each run came to. Its events go out in the transaction of the changes that they count, so that their sum
 * is exact whatever is killed. Observations without a run are not counted.
 */
export class RunTally {
  readonly #entries: Entry[] = []
  #last: Entry | undefined
  readonly #reader = new Reader(Buffer.alloc(1))

  /** Counts the outcome of the observation that was applied last. */
  observation(model: ModelName, applied: Applied, outcome: Outcome): void {
    if (outcome.kind === 'repeated') return
    const entry = this.#last && isOf(this.#last, applied) ? this.#last : this.#find(applied)
    if (!entry) return
    const { fetchStartedAt, remoteVersion } = applied.layout
    // Without a version nobody knows how old the change was.
    const isYoung = fetchStartedAt - remoteVersion <= DRIFT_GRACE_MS
    add(entry, model, outcome, !isYoung)
  }

  /** Counts a record that a sweep ended. */
  absence(model: ModelName, of: Pick<Entry, 'integrationId' | 'kind'> & { syncId: string | null }, outcome: Outcome) {
    if (of.syncId === null) return
    const { integrationId, syncId, kind } = of
    add(this.#entryOf(integrationId, syncId, kind), model, outcome, true)
  }

  /** One event a run; `at` is the time of the last record that was counted. */
  events(at: number): SyncEvent[] {
    return this.#entries.map(({ integrationId, syncId, kind, models }) =>
      syncEvent({
        source: '',
        integration_id: integrationId,
        event: 'counted',
        at,
        sync_id: syncId,
        kind: kind === 'delta_sync' || kind === 'webhook' ? 'delta' : 'full',
        counts: [...models.values()].sort((a, b) => (a.model < b.model ? -1 : 1)),
      }),
    )
  }

  /** Drift that was found, by integration and model. */
  drift(): { readonly integration: string; readonly model: ModelName; readonly count: number }[] {
    return this.#entries.flatMap(({ integrationId: integration, models }) =>
      [...models].flatMap(([model, { drift: count }]) => (count === 0 ? [] : { integration, model, count })),
    )
  }

  #find({ value, layout }: Applied): Entry | undefined {
    const reader = this.#reader
    reader.set(value, layout.causeStart, value.length)
    const kind = reader.string()
    if (reader.byte() === 0) return undefined
    const syncId = reader.string()
    reader.set(value, layout.integrationStart, value.length)
    return this.#entryOf(reader.string(), syncId, kind)
  }

  #entryOf(integrationId: string, syncId: string, kind: string): Entry {
    const is = (entry: Entry): boolean =>
      entry.syncId === syncId && entry.integrationId === integrationId && entry.kind === kind
    let entry = this.#entries.find(is)
    if (!entry) {
      const cause = Buffer.concat([encoded(kind), Buffer.from([2]), encoded(syncId)])
      entry = { integration: encoded(integrationId), cause, integrationId, syncId, kind, models: new Map() }
      this.#entries.push(entry)
    }
    this.#last = entry
    return entry
  }
}

/** Neighbouring observations are of the same run: comparing bytes in place costs a tenth of reading them. */
function isOf(entry: Entry, { value, layout }: Applied): boolean {
  return (
    beginsWith(value, layout.integrationStart, entry.integration) && beginsWith(value, layout.causeStart, entry.cause)
  )
}

function beginsWith(value: Buffer, at: number, bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if (value[at + i] !== bytes[i]) return false
  return true
}

function add({ kind, models }: Entry, model: ModelName, outcome: Outcome, isOld: boolean): void {
  let counts = models.get(model)
  if (!counts) {
    counts = { ...modelCount({ model }) }
    models.set(model, counts)
  }
  if (outcome.kind !== 'changed') {
    counts.unchanged++
    return
  }
  counts[columnOf(outcome.op)]++
  if (isOld && kind === 'reconcile') counts.drift++
}

const columnOf = (op: Op): 'created' | 'updated' | 'deleted' =>
  op === 'created' ? 'created' : op === 'deleted' || op === 'merged' || op === 'purged' ? 'deleted' : 'updated'

/** Avro's encoding of a string: its length as a zigzag varint, then its bytes. */
function encoded(text: string): Buffer {
  const bytes = Buffer.from(text)
  const head: number[] = []
  let rest = bytes.length * 2
  for (; rest > 127; rest >>>= 7) head.push((rest & 127) | 128)
  return Buffer.concat([Buffer.from([...head, rest]), bytes])
}
