import { type Clock, TidemarkError } from '@tidemark/base'
import { getJson, type Target } from '../client.ts'
import { printable, type Style } from '../colors.ts'
import { displayValue } from '../feed.ts'
import type { CommandContext, CommandResult } from '../program.ts'

export interface DiffFlags {
  readonly integration: string
  readonly from: string
  readonly to?: string
  readonly model: readonly string[]
  readonly json?: boolean
}

interface DiffEntry {
  readonly model: string
  readonly id: string
  readonly remote_id: string | null
  readonly op: string
  readonly from_version: number | null
  readonly to_version: number
  readonly change_count: number
  readonly merged_into_id: string | null
  readonly erased: boolean
  readonly changes: readonly {
    readonly path: string
    readonly op: string
    readonly before: unknown
    readonly after: unknown
  }[]
}

interface DiffPage {
  readonly data: {
    readonly from: string
    readonly to: string
    readonly next: string | null
    readonly results: readonly DiffEntry[]
  }
}

/** Prints what changed in an integration between two times, record by record: the net effect, however many changes led to it. */
export async function diffCommand(context: CommandContext, target: Target, flags: DiffFlags): CommandResult {
  const { print, note, style, clock } = context
  const query = new URLSearchParams({
    integration_id: flags.integration,
    from: timeOf('--from', flags.from, clock),
    page_size: '250',
    ...(flags.to === undefined ? {} : { to: timeOf('--to', flags.to, clock) }),
    ...(flags.model.length === 0 ? {} : { model: flags.model.join(',') }),
  })
  let records = 0
  let range = ''
  let more = true
  while (more && !context.signal.aborted) {
    const { data }: DiffPage = await getJson<DiffPage>(target, `/v1/diff?${query.toString()}`)
    range = `${data.from} to ${data.to}`
    if (records === 0 && !flags.json) print(style.bold(flags.integration) + style.dim(`  ${range}`))
    for (const entry of data.results) {
      if (flags.json) print(JSON.stringify(entry))
      else for (const line of describe(entry, style)) print(line)
    }
    records += data.results.length
    more = data.next !== null
    if (data.next !== null) query.set('cursor', data.next)
  }
  if (more) return 1
  if (!flags.json) note(style.dim(records === 0 ? 'nothing changed' : `${records} records changed`))
  return 0
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** A time as the API takes it: ISO text as it is, and `2h`, `-2h` or `7d ago` counted back from now. */
export function timeOf(option: string, text: string, clock: Pick<Clock, 'now'>): string {
  const [, count, unit] = /^-?(\d{1,6})([smhdw])(?: ago)?$/.exec(text.trim()) ?? []
  if (count !== undefined)
    return new Date(clock.now() - Number(count) * (UNITS[unit as string] as number)).toISOString()
  if (/^\d{4}-/.test(text)) return text
  throw new TidemarkError(
    'CONFIG_INVALID',
    `${option}: "${text}" is neither a time like 2026-03-01T09:00:00Z nor a duration before now like 30m, 2h or 7d`,
  )
}

const OP_COLORS: Readonly<Record<string, keyof Omit<Style, 'enabled'>>> = {
  created: 'green',
  updated: 'yellow',
  deleted: 'red',
  restored: 'cyan',
  unchanged: 'dim',
}

function describe(entry: DiffEntry, style: Style): string[] {
  const { model, id, remote_id, op, from_version, to_version, change_count, merged_into_id, erased } = entry
  const versions = from_version === null ? `v${to_version}` : `v${from_version} -> v${to_version}`
  const details = [
    remote_id === null ? null : `remote id ${printable(remote_id)}`,
    versions,
    change_count === 1 ? null : `${change_count} changes`,
    merged_into_id === null ? null : `into ${merged_into_id}`,
    erased ? 'personal data was erased' : null,
  ].filter((detail) => detail !== null)
  const color = OP_COLORS[op] ?? 'magenta'
  const head = `${style[color](op)} ${style.dim(model)} ${style.bold(id)}  ${style.dim(details.join(' · '))}`
  // Every value of a new record is new: its state is one question away.
  const changes = op === 'created' ? [] : entry.changes
  return [
    head,
    ...changes.map(
      (c) =>
        `    ${style.cyan(printable(c.path))}  ${style.red(displayValue(c.before))} -> ${style.green(displayValue(c.after))}`,
    ),
  ]
}
