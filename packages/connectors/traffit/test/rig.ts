import { seededRandom } from '@tidemark/base'
import type { FetchOptions, MappedRecord, Page, PointRead, Source } from '@tidemark/connector'
import { drive } from '@tidemark/connector/contract'
import type { ModelName } from '@tidemark/model'
import { World } from '@tidemark/sandbox'
import { createTraffitSimulator, type TraffitSimulator, type TraffitSimulatorOptions } from '@tidemark/sandbox/traffit'
import { ManualClock } from '@tidemark/testing'
import { CLIENT_LIMITS, TraffitClient } from '../src/client.ts'
import { CURSOR_LIMITS } from '../src/cursor.ts'
import { parseOptions, type TraffitOptions } from '../src/options.ts'
import { createSource } from '../src/source.ts'

export const INTEGRATION = 'traffit:shire'
export const WEBHOOK_SECRET = 'the-webhook-secret'

/** A tenant in a simulated world, and the connector in front of it, on one clock. */
export interface Rig {
  readonly clock: ManualClock
  readonly world: World
  readonly simulator: TraffitSimulator
  readonly source: Source
  readonly client: TraffitClient
  /** Pages of a stream, or what the fetch threw. */
  fetch(
    stream: string,
    more?: Partial<FetchOptions>,
  ): Promise<{ readonly pages: readonly Page[]; readonly error: unknown }>
  /** Records of a stream; throws what the fetch throws. */
  records(stream: string, more?: Partial<FetchOptions>): Promise<readonly MappedRecord[]>
  read(model: ModelName, ...remoteKeys: string[]): Promise<readonly PointRead[]>
  /** Runs work that waits for the clock. */
  during<T>(work: Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface RigOptions {
  readonly sizes?: { readonly jobs: number; readonly candidates: number; readonly applications: number }
  readonly simulator?: Partial<TraffitSimulatorOptions>
  readonly source?: Partial<TraffitOptions>
}

/** Starts both. The clock stands at 2026-03-01 09:00 UTC. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const clock = new ManualClock()
  let simulator: TraffitSimulator | undefined
  const world = new World({
    seed: 3,
    now: () => clock.now(),
    onMutation: (mutation) => simulator?.onMutation(mutation),
  })
  const company = world.found(options.sizes ?? { jobs: 8, candidates: 30, applications: 30 }, 'traffit', INTEGRATION)
  const started = createTraffitSimulator({ company, clock, rateLimit: null, ...options.simulator })
  simulator = started
  const { origin } = await started.start()
  const { clientId, clientSecret } = started
  const given = { base_url: origin, client_id: clientId, client_secret: clientSecret, webhook_secret: WEBHOOK_SECRET }
  const parsed = { ...parseOptions({ ...given, integration: INTEGRATION }), ...options.source }
  const deps = { clock, random: seededRandom(7) }
  const limits = { client: { ...CLIENT_LIMITS, idleTimeoutMs: 5000 }, cursor: CURSOR_LIMITS }
  const source = createSource(parsed, deps, limits)
  const client = new TraffitClient(parsed, deps, limits.client)
  const during = async <T>(work: Promise<T>): Promise<T> => {
    // A failure waits as a value until the clock has been driven to its time.
    const settled = await drive(clock, Promise.allSettled([work]), 500)
    const [outcome] = settled
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  }

  const fetch: Rig['fetch'] = async (stream, more = {}) => {
    const pages: Page[] = []
    const signal = new AbortController().signal
    const work = async (): Promise<unknown> => {
      try {
        const asked = { integrationId: INTEGRATION, stream, signal, ...more }
        for await (const page of source.fetch(asked)) pages.push(page)
        return undefined
      } catch (error) {
        return error
      }
    }
    const error = await during(work())
    return { pages, error }
  }
  const read: Rig['read'] = (model, ...remoteKeys) => {
    const asked = { integrationId: INTEGRATION, model, remoteKeys, signal: new AbortController().signal }
    const work = async (): Promise<PointRead[]> => {
      const answers: PointRead[] = []
      for await (const answer of source.pointReads?.read(asked) ?? []) answers.push(answer)
      return answers
    }
    return during(work())
  }
  return {
    ...{ clock, world, simulator: started, source, client, fetch, read, during },
    records: async (stream, more) => {
      const { pages, error } = await fetch(stream, more)
      if (error !== undefined) throw error
      return pages.flatMap(({ mapped }) => mapped.records)
    },
    close: async () => {
      await source.close()
      await client.close()
      await started.stop()
    },
  }
}
