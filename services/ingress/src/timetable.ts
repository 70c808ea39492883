import type { Clock } from '@tidemark/base'
import type { NamedSource } from './fetchStream.ts'
import type { Integrations } from './integrations.ts'
import { DEFAULT_SCHEDULE, type Due, dueOf } from './schedule.ts'
import type { IngressState } from './state.ts'
import type { Syncs } from './syncs.ts'

export interface TimetableDeps {
  readonly clock: Clock
  readonly state: IngressState
  readonly integrations: Integrations
  readonly syncs: Syncs
}

const LOOK_EVERY_MS = 30_000
/** A complete pass looks for drift, so what the feed still owes is fetched just before. */
const FRESH_MS = 120_000

/** Asks for what the schedules say is due, until the signal aborts. */
export async function keepTimetable(deps: TimetableDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await deps.clock.sleep(LOOK_EVERY_MS, signal)
    if (!signal.aborted) askForDue(deps)
  }
}

/** Asks once for everything that is due now. What is under way or waits for a retry is left alone. */
export function askForDue(deps: TimetableDeps): void {
  for (const { id, source } of deps.integrations.list()) {
    if (deps.state.stoppedBecause(id) !== undefined || deps.syncs.isWaitingForProvider(id)) continue
    askForIntegration(deps, id, source)
  }
}

function askForIntegration({ clock, state, syncs }: TimetableDeps, integrationId: string, from: NamedSource): void {
  const { name, source } = from
  const now = clock.now()
  const changed: string[] = []
  const ask = { source: name, integrationId, reason: 'schedule' } as const
  for (const stream of source.streams) {
    const view = syncs.view({ source: name, integrationId, stream })
    if (view !== undefined && view.state !== 'idle') continue
    const due = nextDue(state, from, integrationId, stream, view?.endedAtMs ?? null)
    if (due === null) continue
    const isFresh = source.pushes === true || now - (state.watermark(integrationId, stream) ?? 0) <= FRESH_MS
    // Each complete pass is a run of its own: one listing that fails does not keep the others from being swept.
    if (now >= due.fullAtMs && isFresh) syncs.ask({ ...ask, streams: [stream], full: true })
    else if (source.pushes !== true && now >= Math.min(due.fullAtMs, due.deltaAtMs)) changed.push(stream)
  }
  if (changed.length > 0) syncs.ask({ ...ask, streams: changed, full: false })
}

/** When a listing is due; null before its first complete fetch. */
export function nextDue(
  state: IngressState,
  { name, source, schedule }: Pick<NamedSource, 'name' | 'source' | 'schedule'>,
  integrationId: string,
  stream: string,
  lastEndedMs: number | null,
): Due | null {
  return dueOf(schedule ?? DEFAULT_SCHEDULE, {
    ...{ source: name, integrationId, stream, lastEndedMs },
    models: source.modelsOf(stream),
    watermarkMs: state.watermark(integrationId, stream) ?? null,
    lastFullMs: state.lastFullAt(integrationId, stream) ?? null,
  })
}
