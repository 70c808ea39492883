import { classify, TidemarkError } from '@tidemark/base'
import { ERASURE_AFTER_MS } from '../erasure.ts'
import { changePartitions, loadStarts, type Start } from '../offsets.ts'
import { eraseNext } from './erase.ts'
import { fillToEnd } from './fill.ts'
import { exclusively } from './guard.ts'
import { makeIndexes } from './indexes.ts'
import { createMeter } from './meter.ts'
import { dropOld } from './old.ts'
import {
  createNext,
  dropNext,
  existingSchemas,
  type Marker,
  modelsWithTimes,
  readMarker,
  updateMarker,
} from './schema.ts'
import { trySwitch } from './switch.ts'
import {
  type Attempt,
  type Gap,
  type RebuildDeps,
  type RebuildOptions,
  type RebuildResult,
  type Schemas,
  schemasOf,
} from './types.ts'

/** Offsets that one pass may have found for the switch to be tried: the next pass finds about as many. */
const NEAR = 2000
/** Failures in a row, with nothing written in between, after which it gives up. */
const TRIES = 8
const BACKOFF = { startMs: 100, maxMs: 5000 } as const

type Ended = Pick<RebuildResult, 'outcome' | 'gaps' | 'oldKept'>

/**
 * Fills `<schema>_next` from the beginning of the changes topics, beside the live projection, and puts it in its place in one transaction;
 * see the README for what readers and the live projector notice (nothing). A call goes on where an earlier one ended, however it ended.
 * Failures that may pass are retried. Throws OVERLOADED while another rebuild runs, OFFSET_OUT_OF_RANGE when the log no longer has the first
 * changes, PROJECTION_MISMATCH when the log ends before what was read.
 */
export async function rebuildProjection(deps: RebuildDeps, options: RebuildOptions = {}): Promise<RebuildResult> {
  const schemas = schemasOf(deps.schema)
  const startedAt = deps.clock.now()
  const progress = createMeter(deps.clock, options.onProgress)
  const failed = { changes: 0 }
  const ended = await exclusively(deps, async (lost) => {
    const given = options.signal ?? new AbortController().signal
    const signal = AbortSignal.any([given, lost])
    const base = { deps, schemas, signal, progress, failed, ...settingsOf(deps, options) }
    const end = await untilEnded(base, options)
    if (lost.aborted && end.outcome === 'stopped') throw lost.reason
    return end
  })
  return { ...ended, passed: progress.changes, failed: failed.changes, elapsedMs: deps.clock.now() - startedAt }
}

function settingsOf(
  { store }: RebuildDeps,
  options: RebuildOptions,
): Pick<Attempt, 'bulk' | 'lanes' | 'batchMax' | 'bufferBytesMax' | 'erasureAfterMs'> {
  const bulk = store.copyRows !== undefined
  const { lanes = 2, batchMax = bulk ? 5000 : 2000, bufferBytesMax = 16 * 1024 * 1024 } = options
  const { erasureAfterMs = ERASURE_AFTER_MS } = options
  return { bulk, lanes: bulk ? lanes : 1, batchMax, bufferBytesMax, erasureAfterMs }
}

type Base = Omit<Attempt, 'liveModels'>

async function untilEnded(base: Base, options: RebuildOptions): Promise<Ended> {
  const { deps, progress, signal } = base
  let restart = options.restart ?? false
  let tries = 0
  let reached = 0
  for (;;) {
    try {
      return await run(base, restart, options.acceptGaps ?? false, () => {
        restart = false
      })
    } catch (error) {
      const failure = classify(error)
      if (progress.changes > reached) tries = 0
      reached = progress.changes
      if (failure.next !== 'retry' || ++tries > TRIES || signal.aborted) throw failure
      const waitMs = Math.min(BACKOFF.maxMs, BACKOFF.startMs * 2 ** tries)
      deps.logger.warn({ err: failure, waitMs, tries }, 'the rebuild failed; it goes on from its stored offsets')
      await deps.clock.sleep(waitMs, signal)
    }
  }
}

/** One way through all phases. */
async function run(base: Base, restart: boolean, acceptGaps: boolean, onPrepared: () => void): Promise<Ended> {
  const { deps, schemas } = base
  const marker = await prepare(base, restart, acceptGaps)
  if (marker === 'finished') return { outcome: 'finished', gaps: [], oldKept: null }
  onPrepared()
  const attempt: Attempt = { ...base, liveModels: await modelsWithTimes(deps.store, schemas) }
  let { state, gaps } = marker
  while (!attempt.signal.aborted) {
    const starts = await loadStarts(deps.log, deps.store, schemas.next)
    gaps = await noteGaps(attempt, gaps, starts, acceptGaps)
    const [done, total] = offsetsOf(starts)
    attempt.progress.phase(state === 'filling' || total - done > NEAR ? 'filling' : 'catching up')
    attempt.progress.expect(done, total)
    const passed = await fillToEnd(attempt, starts)
    if (attempt.signal.aborted) break
    if (state === 'filling') {
      await makeIndexes(attempt)
      state = 'indexed'
    } else if (passed <= NEAR && (await switchErased(attempt))) {
      attempt.progress.phase('dropping')
      return { outcome: 'switched', gaps, oldKept: await dropOld(deps, schemas) }
    }
  }
  return { outcome: 'stopped', gaps, oldKept: null }
}

/** Nothing that is erased in the live tables, or has to be, becomes readable again by the switch. */
async function switchErased(attempt: Attempt): Promise<boolean> {
  await eraseNext(attempt)
  return !attempt.signal.aborted && (await trySwitch(attempt))
}

/** Finds or creates what is to be filled. */
async function prepare(
  { deps, schemas, bulk }: Base,
  restart: boolean,
  acceptGaps: boolean,
): Promise<Marker | 'finished'> {
  const { store, logger } = deps
  const found = await existingSchemas(store, schemas)
  if (found.old) {
    const kept = await dropOld(deps, schemas)
    if (kept !== null) throw oldInTheWay(schemas, kept)
    if (!found.next && !restart) return 'finished'
  }
  if (found.next) {
    const marker = await readMarker(store, schemas)
    const usable = marker !== null && !restart && (marker.had_live || !found.live)
    if (usable) return marker
    logger.warn({ schema: schemas.next, restart }, 'an unfinished rebuild is thrown away; it begins again')
    await dropNext(store, schemas)
  }
  const gaps = await missingPrefixes(deps)
  checkGaps(schemas, gaps, acceptGaps)
  const marker: Marker = { state: bulk ? 'filling' : 'indexed', had_live: found.live, gaps }
  await createNext(store, schemas, marker)
  return marker
}

async function missingPrefixes({ log }: RebuildDeps): Promise<Gap[]> {
  const partitions = await changePartitions(log)
  const bounds = await Promise.all(partitions.map(({ topic, partition }) => log.bounds(topic, partition)))
  return partitions.flatMap(({ topic, partition }, i) => {
    const to = bounds[i]?.start ?? 0
    return to > 0 ? [{ topic, partition, from: 0, to }] : []
  })
}

/** What retention removed before this rebuild came to it. */
async function noteGaps(
  { deps, schemas }: Attempt,
  known: readonly Gap[],
  starts: readonly Start[],
  acceptGaps: boolean,
): Promise<readonly Gap[]> {
  const more = starts.filter(({ stored, offset }) => stored < offset)
  if (more.length === 0) return known
  const gaps = more.map(({ topic, partition, stored, offset }) => ({ topic, partition, from: stored, to: offset }))
  checkGaps(schemas, gaps, acceptGaps)
  const all = [...known, ...gaps]
  await updateMarker(deps.store, schemas, { gaps: all })
  return all
}

function checkGaps({ live }: Schemas, gaps: readonly Gap[], accepted: boolean): void {
  if (gaps.length === 0 || accepted) return
  const some = gaps
    .slice(0, 3)
    .map(({ topic, partition, from, to }) => `${topic}/${partition} from ${from} to ${to - 1}`)
  throw new TidemarkError(
    'OFFSET_OUT_OF_RANGE',
    `"${live}" cannot be rebuilt whole: the log no longer has the changes of ${gaps.length} partitions (${some.join('; ')}${gaps.length > 3 ? '; …' : ''}). ` +
      'Its tables hold what those wrote; rebuilt ones would not. Restore the topics, or accept the gaps',
    { fields: { schema: live, gaps: gaps.length } },
  )
}

function oldInTheWay({ old }: Schemas, reason: string): TidemarkError {
  return new TidemarkError(
    'CONFIG_INVALID',
    `the schema "${old}", which an earlier rebuild left, cannot be dropped: ${reason} Move what depends on it away, drop it, and try again`,
    { fields: { schema: old } },
  )
}

function offsetsOf(starts: readonly Start[]): [done: number, total: number] {
  const sum = (of: (start: Start) => number): number => starts.reduce((total, start) => total + of(start), 0)
  return [sum(({ offset, bounds }) => offset - bounds.start), sum(({ bounds }) => bounds.end - bounds.start)]
}
