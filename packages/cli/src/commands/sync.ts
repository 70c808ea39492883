import { TidemarkError } from '@tidemark/base'
import { ApiError, getJson, postJson, type Target } from '../client.ts'
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
  readonly counts?: readonly {
    readonly model: string
    readonly created: number
    readonly updated: number
    readonly deleted: number
    readonly drift: number
  }[]
  readonly sweeps?: readonly { readonly model: string; readonly state: string; readonly suspects: number | null }[]
}

interface SyncBody {
  readonly data: { readonly results: readonly RunBody[] }
}

const POLL_MS = 300
/** A run that nobody has begun after this long will not begin. */
const BEGIN_MS = 30_000

/** Asks for a sync of one or all integrations and waits for its end. Exit code 0 only when every run succeeded. */
export async function syncCommand(context: CommandContext, target: Target, flags: SyncFlags): CommandResult {
  const type = flags.full ? 'FULL' : 'DELTA'
  const ids = flags.integration === undefined ? await integrationsOf(target) : [flags.integration]
  if (ids.length === 0) throw new TidemarkError('CONFIG_INVALID', 'there is no integration to sync; configure a source')
  const asked = await ask(context, target, type, ids)
  if (!flags.wait) return 0
  const first = await waitForRuns(context, target, syncIds(asked))
  // A run that somebody else had asked for, and that ended with its process, is not what was asked for here.
  const cut = first.filter((run) => run.state === 'CANCELLED' && asked.get(run.integration_id)?.already_queued === true)
  const again = await ask(
    context,
    target,
    type,
    cut.map((run) => run.integration_id),
  )
  const second = again.size === 0 ? [] : await waitForRuns(context, target, syncIds(again))
  const runs = [...first.filter((run) => !cut.includes(run)), ...second]
  for (const run of runs) {
    if (flags.json) context.print(JSON.stringify(run))
    else printRun(context, run)
  }
  return runs.length === asked.size && runs.every((run) => run.state === 'SUCCEEDED') ? 0 : 1
}

function printRun({ print, style }: CommandContext, run: RunBody): void {
  const state = run.state === 'SUCCEEDED' ? style.green(run.state) : style.red(run.state)
  const n = (value: number): string => value.toLocaleString('en-US')
  const sum = (of: 'created' | 'updated' | 'deleted'): string =>
    n((run.counts ?? []).reduce((total, count) => total + count[of], 0))
  const came = `${sum('created')} created, ${sum('updated')} updated, ${sum('deleted')} deleted`
  const why = run.message === null ? '' : ` (${run.message})`
  print(
    `${run.integration_id}: ${state}, ${n(run.observed)} records observed, ${run.failed} failed; so far ${came}${why}`,
  )
  for (const { model, state: sweep, suspects } of run.sweeps ?? []) {
    if (sweep === 'HELD')
      print(
        style.yellow(
          `  ${n(suspects ?? 0)} ${model} are missing: held, nothing was deleted; to decide: tidemark sync held`,
        ),
      )
    if (sweep === 'PENDING') print(style.dim(`  what is gone of ${model} is still being looked into`))
  }
}

interface Asked {
  readonly sync_id: string
  readonly already_queued: boolean
}

const syncIds = (asked: ReadonlyMap<string, Asked>): Map<string, string> =>
  new Map([...asked].map(([integration, { sync_id }]) => [integration, sync_id]))

async function ask(
  { note, style }: CommandContext,
  target: Target,
  type: 'FULL' | 'DELTA',
  ids: readonly string[],
): Promise<Map<string, Asked>> {
  const asked = new Map<string, Asked>()
  for (const id of ids) {
    const headers = { 'x-integration-id': id }
    const { data } = await postJson<{ readonly data: Asked }>(target, '/v1/force-sync', { type }, headers)
    asked.set(id, data)
    const joined = data.already_queued ? ' (was queued already)' : ''
    note(style.dim(`${id}: ${type.toLowerCase()} sync ${data.sync_id}${joined}`))
  }
  return asked
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
      const runs = (await Promise.all([...asked].map(([integration, id]) => runOf(target, integration, id)))).filter(
        (run) => run !== undefined,
      )
      const finished = runs.filter((run) => run.finished_at !== null && isSwept(run, context.clock.now()))
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

/** A processor that stands still does not keep a finished run waiting. */
const SWEEP_MS = 60_000

/** Whether it is settled what of a run is gone. */
const isSwept = ({ sweeps, finished_at: finishedAt }: RunBody, now: number): boolean =>
  !(sweeps ?? []).some(({ state }) => state === 'PENDING') || now - Date.parse(finishedAt ?? '') > SWEEP_MS

/** The run of a sync for one integration; undefined while nobody has begun it. */
async function runOf(target: Target, integration: string, id: string): Promise<RunBody | undefined> {
  try {
    const { data } = await getJson<SyncBody>(target, `/v1/syncs/${encodeURIComponent(id)}`)
    return data.results.find((run) => run.integration_id === integration)
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined
    throw error
  }
}
