import { TidemarkError } from '@tidemark/base'
import { getJson, postJson, type Target } from '../client.ts'
import type { CommandContext, CommandResult } from '../program.ts'
import { createProgressLine } from '../progressLine.ts'
import type { StatusBody } from './status.ts'

export interface SyncFlags {
  readonly full?: boolean
  readonly integration?: string
  readonly wait: boolean
  readonly json?: boolean
}

interface RunBody {
  readonly sync_id: string
  readonly integration_id: string
  readonly kind: string
  readonly state: string
  readonly observed: number
  readonly failed: number
  readonly finished_at: string | null
  readonly message: string | null
}

interface SyncsBody {
  readonly data: { readonly services: { readonly syncs: { readonly runs: readonly RunBody[] } } }
}

const POLL_MS = 300
/** A run that nobody has begun after this long will not begin. */
const BEGIN_MS = 30_000

/** Asks for a sync of one or all integrations and waits for its end. Exit code 0 only when every run succeeded. */
export async function syncCommand(context: CommandContext, target: Target, flags: SyncFlags): CommandResult {
  const type = flags.full ? 'FULL' : 'DELTA'
  const ids = flags.integration === undefined ? await integrationsOf(target) : [flags.integration]
  if (ids.length === 0) throw new TidemarkError('CONFIG_INVALID', 'there is no integration to sync; configure a source')
  const asked = new Map<string, string>()
  for (const id of ids) {
    const { data } = await postJson<{ readonly data: { readonly sync_id: string; readonly already_queued: boolean } }>(
      target,
      '/v1/force-sync',
      { type },
      { 'x-integration-id': id },
    )
    asked.set(id, data.sync_id)
    context.note(
      context.style.dim(
        `${id}: ${type.toLowerCase()} sync ${data.sync_id}${data.already_queued ? ' (was queued already)' : ''}`,
      ),
    )
  }
  if (!flags.wait) return 0
  const runs = await waitForRuns(context, target, asked)
  for (const run of runs) {
    if (flags.json) context.print(JSON.stringify(run))
    else
      context.print(
        `${run.integration_id}: ${run.state === 'SUCCEEDED' ? context.style.green(run.state) : context.style.red(run.state)}, ${run.observed.toLocaleString('en-US')} records observed, ${run.failed} failed${run.message === null ? '' : ` (${run.message})`}`,
      )
  }
  return runs.length === asked.size && runs.every((run) => run.state === 'SUCCEEDED') ? 0 : 1
}

async function integrationsOf(target: Target): Promise<string[]> {
  const { data } = await getJson<StatusBody>(target, '/v1/status')
  return data.integrations.filter((i) => i.source !== null).map((i) => i.integration_id)
}

async function waitForRuns(
  context: CommandContext,
  target: Target,
  asked: ReadonlyMap<string, string>,
): Promise<RunBody[]> {
  const line = createProgressLine(context)
  const since = context.clock.now()
  try {
    while (!context.signal.aborted) {
      const { data } = await getJson<SyncsBody>(target, '/v1/status')
      const runs = data.services.syncs.runs.filter((run) => asked.get(run.integration_id) === run.sync_id)
      const finished = runs.filter((run) => run.finished_at !== null)
      const done = runs.reduce((sum, run) => sum + run.observed, 0)
      line.update({ done, unit: 'records', text: `${finished.length} of ${asked.size} integrations done` })
      if (finished.length === asked.size) return finished
      if (runs.length < asked.size && context.clock.now() - since > BEGIN_MS) {
        throw new TidemarkError('INTERNAL', `the sync was not begun within ${BEGIN_MS / 1000} s; see: tidemark status`)
      }
      await context.clock.sleep(POLL_MS, context.signal)
    }
    return []
  } finally {
    line.end()
  }
}
