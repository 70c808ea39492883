import { seededRandom } from '@tidemark/base'
import type { FetchOptions, Page, PointRead } from '@tidemark/connector'
import { drive } from '@tidemark/connector/contract'
import { type ModelName, normalizeRecord } from '@tidemark/model'
import { type Company, World } from '@tidemark/sandbox'
import { createHrworksSimulator, type HrworksSimulator, type HrworksSimulatorOptions } from '@tidemark/sandbox/hrworks'
import { ManualClock } from '@tidemark/testing'
import { expect } from 'vitest'
import { parseOptions } from '../src/options.ts'
import { createSource, type HrworksSource } from '../src/source.ts'

export const INTEGRATION = 'hrworks:acme'

/** A tenant of the simulator with a source that reads it; all in simulated time. */
export interface Tenant {
  readonly clock: ManualClock
  readonly world: World
  readonly company: Company
  readonly simulator: HrworksSimulator
  readonly source: HrworksSource
  readonly baseUrl: string
  /** Lets time pass while the work waits. */
  drive<T>(work: Promise<T>): Promise<T>
  /** The pages of a stream until its end or its failure. */
  fetch(
    stream: string,
    more?: Partial<FetchOptions>,
  ): Promise<{ readonly pages: readonly Page[]; readonly error: unknown }>
  pointRead(model: 'candidates' | 'jobs', remoteKeys: readonly string[]): Promise<readonly PointRead[]>
  close(): Promise<void>
}

export async function startTenant(
  options: Partial<HrworksSimulatorOptions> & {
    /** Of the source, where it is not the simulator's. */
    readonly wrongSecret?: string
    readonly sizes?: { jobs: number; candidates: number; applications: number }
  } = {},
): Promise<Tenant> {
  const { sizes = { jobs: 12, candidates: 130, applications: 160 }, wrongSecret, ...rest } = options
  const clock = new ManualClock()
  let observe: HrworksSimulator['observe'] = () => undefined
  const world = new World({ seed: 7, now: () => clock.now(), onMutation: (mutation) => observe(mutation) })
  const company = world.found(sizes, 'hrworks', INTEGRATION)
  const simulator = createHrworksSimulator({ company, clock, requestsPerMinute: null, ...rest })
  observe = (mutation) => simulator.observe(mutation)
  const baseUrl = await simulator.start()
  const source = createSource(
    parseOptions({
      ...{ integration: INTEGRATION, base_url: baseUrl },
      ...{ access_key: simulator.accessKey, secret_access_key: wrongSecret ?? simulator.secretAccessKey },
    }),
    { clock, random: seededRandom(7) },
  )
  const { signal } = new AbortController()
  const common = { integrationId: INTEGRATION, signal }
  return {
    ...{ clock, world, company, simulator, source, baseUrl },
    drive: async (work) => {
      // Settled before it is driven, because a rejection that nobody has waited for yet would end the test run.
      const settled = Promise.allSettled([work])
      const [outcome] = await drive(clock, settled, 1000)
      if (outcome.status === 'rejected') throw outcome.reason
      return outcome.value
    },
    fetch: (stream, more = {}) => drive(clock, collect(source.fetch({ ...common, stream, ...more })), 1000),
    pointRead: async (model, remoteKeys) => {
      const { pointReads } = source
      if (pointReads === null) throw new RangeError('there are no point reads')
      const { pages, error } = await drive(clock, collect(pointReads.read({ ...common, model, remoteKeys })), 1000)
      if (error !== undefined) throw error
      return pages
    },
    close: async () => {
      await source.close()
      await simulator.stop()
    },
  }
}

async function collect<T>(pages: AsyncIterable<T>): Promise<{ readonly pages: readonly T[]; readonly error: unknown }> {
  const all: T[] = []
  try {
    for await (const page of pages) all.push(page)
    return { pages: all, error: undefined }
  } catch (error) {
    return { pages: all, error }
  }
}

/** Records of a model by remote key, each accepted by the model. */
export function recordsOf(pages: readonly Page[], model: ModelName): Map<string, Readonly<Record<string, unknown>>> {
  expect(pages.flatMap(({ mapped }) => mapped.failures)).toEqual([])
  const records = pages.flatMap(({ mapped }) => mapped.records).filter((record) => record.model === model)
  for (const { record } of records) normalizeRecord(model, { ...record, id: 'x' })
  return new Map(records.map(({ remoteKey, record }) => [remoteKey, record]))
}
