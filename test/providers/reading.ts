import { setImmediate as nextTurn } from 'node:timers/promises'
import { seededRandom } from '@tidemark/base'
import type { Mapped } from '@tidemark/connector'
import type { SimClock } from '../sync/clock.ts'
import type { SimulatedProvider } from './provider.ts'

const STEP_MS = 1000

/** Lets time go by until the work is done, which may wait for it. */
export async function during<T>(clock: SimClock, work: Promise<T>): Promise<T> {
  let isDone = false
  const done = Promise.allSettled([work]).then((outcomes) => {
    isDone = true
    return outcomes[0]
  })
  for (let turn = 1; !isDone; turn++) {
    await nextTurn()
    if (turn % 20 === 0) clock.tick(STEP_MS)
  }
  const outcome = await done
  if (outcome.status === 'rejected') throw outcome.reason
  return outcome.value
}

/** Every page of every stream, by a connector that knows nothing yet. Throws when one record of them cannot be mapped. */
export async function readStreams(
  { connector, options, integration: integrationId }: SimulatedProvider,
  clock: SimClock,
): Promise<readonly Mapped[]> {
  const source = connector.create(connector.parseOptions(options), { clock, random: seededRandom(1) })
  const all: Mapped[] = []
  const { signal } = new AbortController()
  const read = async (): Promise<void> => {
    for (const stream of source.streams)
      for await (const { mapped, notOffered } of source.fetch({ integrationId, stream, signal })) {
        if (notOffered !== null) throw new Error(`the oracle is not offered ${stream}: ${notOffered}`)
        all.push(mapped)
      }
  }
  try {
    await during(clock, read())
  } finally {
    await source.close()
  }
  return checked(all)
}

/** Throws when a record could not be mapped: the simulator errs, or the connector does. */
export function checked(all: readonly Mapped[]): readonly Mapped[] {
  for (const { error } of all.flatMap(({ failures }) => failures)) throw error
  return all
}
