/** A source in front of a stand-in, fresh for each test. For tests only. */
import { seededRandom } from '@tidemark/base'
import { ManualClock } from '@tidemark/testing'
import { afterEach, beforeEach } from 'vitest'
import type {
  AccessCheck,
  Connector,
  FetchOptions,
  Mapped,
  MappedRecord,
  Page,
  PointRead,
  PointReadOptions,
  Source,
  WebhookRequest,
} from '../connector.ts'
import { rowsMapped } from './rows.ts'
import { expectNoSecret } from './secrets.ts'
import type { Account, ContractOptions, RareAnswer, StandIn } from './standIn.ts'

/** What a piece of work gave before it ended, and what it threw. */
export interface Outcome<T> {
  readonly all: readonly T[]
  readonly error: unknown
}

/** What the cases of the suite work with. */
export interface Rig extends Required<ContractOptions> {
  readonly standIn: StandIn
  readonly source: Source
  readonly clock: ManualClock
  /** Fetches the stand-in's stream, of its account unless told otherwise. */
  fetch(more?: Partial<FetchOptions>, source?: Source): Promise<Outcome<Page>>
  /** Asks for the record that the stand-in names, or for others. */
  read(asked?: Pick<PointReadOptions, 'model' | 'remoteKeys'>): Promise<Outcome<PointRead>>
  check(): Promise<Outcome<AccessCheck>>
  /** Records of a stream, whichever way the provider delivers them; throws what kept them. */
  records(account: Account, stream: string, source?: Source): Promise<readonly MappedRecord[]>
  /** What these rows of the stand-in's stream map to. */
  mapped(rows: readonly unknown[]): Promise<Mapped>
  /** A genuine webhook of an integration. */
  webhook(integrationId: string): WebhookRequest
  /** The source that reads the neighbour: the same one, or another. */
  neighbour(): Source
}

/** Registers what makes and closes a stand-in with its source around each test of the suite. */
export function useRig(connector: Connector, start: () => Promise<StandIn>, options: Required<ContractOptions>): Rig {
  let standIn: StandIn
  let source: Source
  let clock: ManualClock
  let others: Source[] = []
  const create = (given: Account['options']): Source =>
    connector.create(connector.parseOptions(given), { clock, random: seededRandom(1) })
  const { signal } = new AbortController()

  beforeEach(async () => {
    standIn = await start()
    clock = new ManualClock()
    source = create(standIn.options)
    others = []
  })

  afterEach(async () => {
    // What did not start is not there.
    for (const one of [source, ...others]) await one?.close()
    await standIn?.close()
  })

  const fetch: Rig['fetch'] = (more = {}, from = source) => {
    const { integrationId, stream } = standIn
    const onRetry: FetchOptions['onRetry'] = (event) => {
      expectNoSecret(standIn.secrets, event)
      more.onRetry?.(event)
    }
    return gather(pages(from, { integrationId, stream, signal, ...more, onRetry }))
  }
  const gather = async <T>(answers: AsyncIterable<T>): Promise<Outcome<T>> => {
    const outcome = await drive(clock, collect(answers))
    expectNoSecret(standIn.secrets, outcome)
    return outcome
  }
  const rig: Omit<Rig, 'standIn' | 'source' | 'clock'> = {
    ...options,
    fetch,
    async read(asked) {
      const { integrationId, pointRead } = standIn
      if (!source.pointReads || !pointRead) throw new RangeError('there are no point reads')
      const { model, remoteKeys } = asked ?? { model: pointRead.model, remoteKeys: [pointRead.remoteKey] }
      return gather(source.pointReads.read({ integrationId, model, remoteKeys, signal }))
    },
    check: () => gather(checks(source, standIn.integrationId, signal)),
    mapped: (rows) => rowsMapped(rig as Rig, rows),
    webhook(integrationId) {
      const [first] = standIn.webhooks(integrationId)
      if (first === undefined) throw new RangeError(`the stand-in has no webhook of ${integrationId}`)
      return first
    },
    async records({ integrationId }, stream, from = source) {
      if (standIn.recordWebhook) {
        const { effects } = from.readWebhook(standIn.recordWebhook(integrationId, stream))
        return effects.flatMap((effect) => (effect.kind === 'records' ? effect.mapped.records : []))
      }
      const { all, error } = await fetch({ integrationId, stream }, from)
      if (error !== undefined) throw error
      return all.flatMap(({ mapped }) => mapped.records)
    },
    neighbour() {
      const { options: given } = standIn.neighbour
      if (given === standIn.options) return source
      const other = create(given)
      others.push(other)
      return other
    },
  }
  return Object.defineProperties(rig, {
    standIn: { get: () => standIn },
    source: { get: () => source },
    clock: { get: () => clock },
  }) as Rig
}

/** A fetch may also throw before it begins. */
async function* pages(source: Source, options: FetchOptions): AsyncGenerator<Page> {
  yield* source.fetch(options)
}

async function* checks(source: Source, integrationId: string, signal: AbortSignal): AsyncGenerator<AccessCheck> {
  yield* await source.checkAccess({ integrationId, signal })
}

/** Whatever arrives until the end or the failure; a source may also refuse before the first. */
async function collect<T>(answers: AsyncIterable<T>): Promise<Outcome<T>> {
  const all: T[] = []
  try {
    for await (const answer of answers) all.push(answer)
  } catch (error) {
    return { all, error }
  }
  return { all, error: undefined }
}

/** True when the provider has no such answer. */
export const lacks = ({ standIn }: Rig, answer: RareAnswer): boolean => standIn.lacks?.includes(answer) ?? false

/** False when the provider sends none. */
export const hasWebhooks = ({ standIn }: Rig): boolean => standIn.webhooks(standIn.integrationId).length > 0

/** Moves the clock on whenever something sleeps, until the work is done. */
export async function drive<T>(clock: ManualClock, work: Promise<T>, stepMs = 500): Promise<T> {
  let done = false
  const finished = work.finally(() => {
    done = true
  })
  // Whoever awaits the result learns of a failure; until then it is nobody's.
  finished.catch(() => undefined)
  while (!done) {
    await new Promise((resolve) => setTimeout(resolve, 1))
    if (!done && clock.sleeping > 0) await clock.advance(stepMs)
  }
  return finished
}
