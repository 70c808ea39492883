import { ApiError, getJson, type Target } from '../client.ts'
import { displayValue } from '../feed.ts'
import type { CommandContext, CommandResult } from '../program.ts'

export interface HistoryFlags {
  readonly model: string
  readonly id: string
  readonly integration?: string
  readonly field?: string
  readonly json?: boolean
}

interface HistoryEntry {
  readonly version: number
  readonly op: string
  readonly event_id: string
  readonly changed_at: string
  readonly remote_changed_at: string | null
  readonly merged_into_id: string | null
  readonly changes:
    | readonly {
        readonly path: string
        readonly op: string
        readonly before: unknown
        readonly after: unknown
        readonly erased?: boolean
      }[]
    | null
  readonly cause: {
    readonly kind: string
    readonly sync_id?: string | null
    readonly event_name?: string | null
    readonly actor?: string | null
    readonly raw?: { readonly partition: number; readonly offset: number } | null
    readonly evidence?: { readonly kind: string; readonly detail?: string | null } | null
    readonly previous_seen_at?: string | null
  }
}

interface HistoryPage {
  readonly data: {
    readonly integration_id: string
    readonly next: string | null
    readonly results: readonly HistoryEntry[]
  }
}

/** Prints every version of a record, oldest first: what changed, when, and how it is known. */
export async function historyCommand(context: CommandContext, target: Target, flags: HistoryFlags): CommandResult {
  const { print, style } = context
  const headers: Record<string, string> =
    flags.integration === undefined ? {} : { 'x-integration-id': flags.integration }
  let cursor: string | null = null
  let first = true
  do {
    const query = new URLSearchParams({
      order: 'oldest',
      page_size: '500',
      ...(flags.field === undefined ? {} : { field: flags.field }),
      ...(cursor === null ? {} : { cursor }),
    })
    const path = `/v1/records/${encodeURIComponent(flags.model)}/${encodeURIComponent(flags.id)}/history?${query.toString()}`
    const { data }: HistoryPage = await getJson<HistoryPage>(target, path, headers)
    if (first && !flags.json) print(style.bold(`${flags.model} ${flags.id}`) + style.dim(`  ${data.integration_id}`))
    for (const entry of data.results) {
      if (flags.json) print(JSON.stringify(entry))
      else for (const line of describe(entry, context)) print(line)
    }
    if (first && data.results.length === 0)
      throw new ApiError(
        404,
        null,
        `${flags.model} ${flags.id} has no change${flags.field === undefined ? '' : ` of ${flags.field}`}`,
      )
    first = false
    cursor = data.next
  } while (cursor !== null && !context.signal.aborted)
  return 0
}

function describe(
  { version, op, changed_at, changes, cause, merged_into_id }: HistoryEntry,
  { style }: CommandContext,
): string[] {
  const how = [
    cause.kind,
    cause.event_name,
    cause.actor === null || cause.actor === undefined ? null : `by ${cause.actor}`,
    cause.evidence
      ? `evidence: ${cause.evidence.kind}${cause.evidence.detail ? ` (${cause.evidence.detail})` : ''}`
      : null,
    cause.raw ? `raw ${cause.raw.partition}@${cause.raw.offset}` : null,
    cause.previous_seen_at ? `old value last seen ${cause.previous_seen_at}` : null,
  ].filter((part) => part !== null && part !== undefined)
  const into = merged_into_id === null ? '' : ` into ${merged_into_id}`
  const head = `${style.dim(changed_at)} ${style.bold(`v${version}`)} ${style.yellow(op)}${into}  ${style.dim(how.join(' · '))}`
  const shown = (value: unknown, erased: boolean | undefined): string =>
    erased && value === null ? '(erased)' : displayValue(value)
  const lines = (changes ?? []).map(
    ({ path, before, after, erased }) =>
      `    ${style.cyan(path)}  ${style.red(shown(before, erased))} -> ${style.green(shown(after, erased))}`,
  )
  return [head, ...lines]
}
