import { printable, type Style } from './colors.ts'

/** A change as `/v1/changes?display=true` sends it; only what the feed shows. */
export interface FeedChange {
  readonly event_id: string
  readonly integration_id: string
  readonly model: string
  readonly id: string
  readonly version: number
  readonly op: string
  readonly changed_at: string
  readonly changes: readonly {
    readonly path: string
    readonly op: string
    readonly before: unknown
    readonly after: unknown
  }[]
  readonly display?: {
    readonly title: string
    readonly lines: readonly { readonly field: string; readonly before: unknown; readonly after: unknown }[]
  }
}

const OP_MARKS: Readonly<Record<string, readonly [string, keyof Omit<Style, 'enabled'>]>> = {
  created: ['+', 'green'],
  updated: ['~', 'yellow'],
  deleted: ['-', 'red'],
  restored: ['^', 'cyan'],
  anonymized: ['#', 'magenta'],
  merged: ['&', 'magenta'],
  purged: ['x', 'red'],
}

const VALUE_LENGTH_MAX = 60

/** One value as a person reads it: short, on one line, without control characters. */
export function displayValue(value: unknown): string {
  if (value === null || value === undefined || value === '') return '∅'
  const text = printable(typeof value === 'string' ? value : JSON.stringify(value))
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX - 1)}…` : text
}

/** "Frodo Baggins / Backend Engineer: current_stage Screening -> Interview", with time, operation and model before it. */
export function formatChange(change: FeedChange, style: Style): string {
  const [mark, color] = OP_MARKS[change.op] ?? ['?', 'blue']
  const time = style.dim(change.changed_at.slice(11, 19))
  const head = `${time} ${style[color](mark)} ${style.dim(change.model.padEnd(12))} ${style.bold(printable(change.display?.title ?? change.id))}`
  const lines =
    change.display?.lines ?? change.changes.map((c) => ({ field: c.path.slice(1), before: c.before, after: c.after }))
  if (change.op !== 'updated' && change.op !== 'restored') return `${head}: ${style[color](change.op)}`
  const parts = lines.map(
    (line) =>
      `${style.cyan(printable(line.field))} ${style.red(displayValue(line.before))} -> ${style.green(displayValue(line.after))}`,
  )
  return `${head}: ${change.op === 'restored' ? `${style.cyan('restored')} ` : ''}${parts.join(style.dim(', '))}`
}
