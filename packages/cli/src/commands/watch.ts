import { TidemarkError } from '@tidemark/base'
import type { Target } from '../client.ts'
import { formatChange } from '../feed.ts'
import type { CommandContext, CommandResult } from '../program.ts'
import { followChanges } from '../watch.ts'

export interface WatchFlags {
  readonly integration: readonly string[]
  readonly model: readonly string[]
  readonly field: readonly string[]
  readonly from: string
  readonly lastEventId?: string
  readonly limit?: string
  readonly json?: boolean
}

/** Prints changes until interrupted or the limit is reached. */
export async function watchCommand(context: CommandContext, target: Target, flags: WatchFlags): CommandResult {
  const query: Record<string, string> = { display: 'true', from: flags.from }
  if (flags.integration.length > 0) query['integration_id'] = flags.integration.join(',')
  if (flags.model.length > 0) query['model'] = flags.model.join(',')
  if (flags.field.length > 0) query['field'] = flags.field.join(',')
  const limit = flags.limit === undefined ? Number.POSITIVE_INFINITY : Number(flags.limit)
  if (!(limit > 0)) throw new TidemarkError('CONFIG_INVALID', `--limit: "${flags.limit}" is not a number above 0`)
  // A stream of its own, so that reaching the limit ends the connection too.
  const ending = new AbortController()
  const signal = AbortSignal.any([context.signal, ending.signal])
  let shown = 0
  const changes = followChanges({
    target,
    query,
    lastEventId: flags.lastEventId,
    signal,
    clock: context.clock,
    random: context.random,
    onOpen: () => context.note(context.style.dim(`watching ${target.url}; Ctrl-C ends`)),
    onLost: (message) =>
      context.note(context.style.dim(`connection lost (${message}); going on behind the last change`)),
  })
  for await (const { id, change, data } of changes) {
    context.print(
      flags.json
        ? JSON.stringify({ position: id ?? null, ...(JSON.parse(data) as object) })
        : formatChange(change, context.style),
    )
    if (++shown >= limit) break
  }
  ending.abort()
  return 0
}
