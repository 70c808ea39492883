import { TidemarkError } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { type RebuildProgress, type RebuildResult, rebuildProjection } from '@tidemark/projector'
import { createMetrics } from '@tidemark/telemetry'
import { type Config, erasureAfterMs } from '../config.ts'
import { loggerOf } from '../logger.ts'
import { hereOrOnline, runOnline } from '../operation.ts'
import type { CommandContext, CommandResult } from '../program.ts'
import { createProgressLine } from '../progressLine.ts'
import { hasEmbeddedLog, openBackend, PROJECTION_SCHEMA } from '../runtime/backend.ts'
import { type ReplayFromFlags, replayFromCommand } from './replayFrom.ts'

export interface RebuildFlags {
  readonly restart?: boolean
  readonly acceptGaps?: boolean
  readonly json?: boolean
}

export interface ReplayFlags extends RebuildFlags, Omit<ReplayFromFlags, 'from'> {
  readonly from?: string
}

/** `replay <projection>` rebuilds, `replay --from` reads again; one of them has to be said. */
export function replayCommand(
  context: CommandContext,
  config: Config,
  projection: string | undefined,
  flags: ReplayFlags,
): CommandResult {
  const { from } = flags
  if (projection !== undefined && from === undefined) return rebuildCommand(context, config, projection, flags)
  if (projection === undefined && from !== undefined) return replayFromCommand(context, config, { ...flags, from })
  throw invalid(`name a projection to rebuild (${PROJECTIONS.join(', ')}), or say where to read from with --from`)
}

/** Projections that can be rebuilt. */
export const PROJECTIONS = ['tables'] as const

/**
 * Rebuilds a projection beside the live one and puts it in its place. Interrupted, it goes on where it was when it is called again. Exit
 * code 0 only when the rebuilt tables are the live ones.
 */
async function rebuildCommand(
  context: CommandContext,
  config: Config,
  name: string,
  flags: RebuildFlags,
): CommandResult {
  const known: readonly string[] = PROJECTIONS
  if (!known.includes(name)) throw invalid(`there is no projection "${name}"; known: ${known.join(', ')}`)
  if (config.mode === 'embedded' && !hasEmbeddedLog(config.data)) {
    throw invalid(`there is no tidemark data in ${config.data}; name it with --data`)
  }
  const line = createProgressLine(context)
  const onProgress = (p: RebuildProgress): void => line.update(described(p))
  const query = `restart=${flags.restart === true}&accept_gaps=${flags.acceptGaps === true}`
  const result = await hereOrOnline(
    context,
    config,
    () => rebuildHere(context, config, flags, onProgress),
    (target) => {
      const path = `/v1/replay/${name}?${query}`
      return runOnline<RebuildProgress, RebuildResult>(target, path, context.signal, onProgress)
    },
  ).finally(() => line.clear())
  if (flags.json) context.print(JSON.stringify(result))
  else tell(result, context)
  return result.outcome === 'stopped' ? 1 : 0
}

async function rebuildHere(
  { clock, signal }: CommandContext,
  config: Config,
  { restart = false, acceptGaps = false }: RebuildFlags,
  onProgress: (progress: RebuildProgress) => void,
): Promise<RebuildResult> {
  const logger = loggerOf(config)
  const backend = await openBackend(config, { clock, logger })
  try {
    const codec = await openCodec(backend.registry)
    const store = await backend.openStore()
    const deps = { log: backend.log, store, codec, logger, metrics: createMetrics(), clock, schema: PROJECTION_SCHEMA }
    return await rebuildProjection(deps, {
      signal,
      onProgress,
      restart,
      acceptGaps,
      erasureAfterMs: erasureAfterMs(config),
    })
  } finally {
    await backend.close()
  }
}

function described({ phase, done, total, steps }: RebuildProgress) {
  const text = steps ? `${phase}, ${steps.done} of ${steps.total} steps` : phase
  return { done, total, unit: 'changes', text }
}

function tell({ outcome, passed, failed, gaps, elapsedMs, oldKept }: RebuildResult, context: CommandContext): void {
  const { note, style } = context
  const n = (value: number): string => value.toLocaleString('en-US')
  for (const { topic, partition, from, to } of gaps) {
    note(style.yellow(`missing: ${topic}/${partition} no longer has the offsets ${from} to ${to - 1}`))
  }
  if (failed > 0) note(style.yellow(`${n(failed)} changes cannot be projected; ats.dead-letters has them`))
  if (oldKept !== null) note(style.yellow(`the old tables are still there: ${oldKept}`))
  const seconds = (elapsedMs / 1000).toFixed(1)
  if (outcome === 'stopped')
    note(style.yellow(`stopped after ${n(passed)} changes; the same command goes on from there`))
  else if (outcome === 'finished') note(style.green('an earlier rebuild was finished: the old tables are gone'))
  else note(style.green(`rebuilt from ${n(passed)} changes in ${seconds} s; the new tables are live`))
}

const invalid = (message: string): TidemarkError => new TidemarkError('CONFIG_INVALID', message)
