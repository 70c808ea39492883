import type { RecordKey } from '@tidemark/model'
import type { Company } from './company.ts'
import type { Ledger } from './ledger.ts'
import type { Listing } from './provider.ts'
import type { Stage } from './stage.ts'
import { STREAMS, type StreamName } from './traits.ts'
import type { World } from './world.ts'

/** A complete run that was asked for. */
export interface Sync<C = Company> {
  readonly id: string
  readonly company: C
  readonly askedAtMs: number
  readonly state: string | null
}

/** Simulated time in which a run has to end: what holds it up is over by then. */
const END_MS = 6 * 3_600_000
const STEP_MS = 30_000

/** Asks for a complete run and waits for its end; time goes by meanwhile. Ingress is begun again when it is killed. */
export async function syncFull<C extends { readonly integration: string }>(
  stage: Stage,
  ledger: Ledger,
  company: C,
  restart: () => Promise<void> = () => stage.start(),
): Promise<Sync<C>> {
  const { integration } = company
  const askedAtMs = stage.clock.tick()
  const id = await stage.command('sync_full', integration)
  for (let waitedMs = 0; waitedMs < END_MS; waitedMs += STEP_MS) {
    if (stage.isDead) await restart()
    await stage.drain()
    await ledger.refresh()
    const state = ledger.outcomesOf(integration, id).at(-1)
    if (state !== undefined && !stage.isDead) return { id, company, askedAtMs, state }
    await stage.pass(STEP_MS)
  }
  throw new Error(`${id} of ${integration} has not ended after ${END_MS / 3_600_000} hours`)
}

/** What became of a model's sweep by a run that began since a time; undefined before that is decided. */
export function sweepState(
  ledger: Ledger,
  { integration }: { readonly integration: string },
  model: string,
  sinceMs: number,
): string | undefined {
  const event = ledger.events.findLast(
    ({ event: name, integration_id: id, model: of, at, details }) =>
      (name === 'swept' || name === 'mass_deletion_held') &&
      id === integration &&
      of === model &&
      at >= sinceMs &&
      (details === null || (JSON.parse(details) as { fetchStartedAtMs: number }).fetchStartedAtMs >= sinceMs),
  )
  return event && (event.event === 'swept' ? (event.state ?? '') : 'HELD')
}

/** Listings of a run that ended well, and that nobody ended: what they did not have would never be missed. */
export function unended(world: World, ledger: Ledger, { id, company, askedAtMs }: Sync): string[] {
  const { listings } = world.provider
  const isEnded = (stream: StreamName): boolean =>
    ledger.hasEnd(company.integration, stream, askedAtMs) ||
    sweepState(ledger, company, stream, askedAtMs) === 'SKIPPED' ||
    // One that was not offered has no end.
    listings.some(
      (one) =>
        one.company === company && one.stream === stream && one.startedAtMs >= askedAtMs && one.isFull && one.isBlind,
    )
  return STREAMS.filter((stream) => !isEnded(stream)).map(
    (stream) => `${id} ended well, its listing of ${stream} did not`,
  )
}

/**
 * Records of which nothing can be demanded after a run that the world did not stand still for: what changed while it ran, of what a webhook told
 * something older meanwhile, what the listing missed or could not show.
 */
export function exemptions(world: World, ledger: Ledger, { company, id }: Sync): (root: RecordKey) => boolean {
  const { history, integration } = company
  const listingOf = (stream: StreamName): Listing | undefined => {
    const window = ledger.windowOf(integration, id, stream)
    return window && world.provider.listingSince(company, stream, window.fromMs)
  }
  const listings = new Map(STREAMS.map((stream) => [stream, listingOf(stream)]))
  const own = new Map(STREAMS.flatMap((stream) => company.rows(stream)).map((row) => [company.keyOf(row), row]))
  return (root) => {
    const listing = listings.get(root.split('/')[1] as StreamName)
    if (listing === undefined || listing.isShrunk || listing.isBlind || listing.unread.has(root)) return true
    const { startedAtMs, shown } = listing
    if (own.has(root) && !shown.has(root)) return true
    return history.changedSince(root, startedAtMs) || world.wasToldSince(root, startedAtMs)
  }
}
