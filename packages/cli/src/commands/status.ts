import { getJson, type Target } from '../client.ts'
import { printable } from '../colors.ts'
import type { CommandContext, CommandResult } from '../program.ts'

export interface StatusBody {
  readonly data: {
    readonly at: string
    readonly totals: { readonly records: number; readonly deleted: number; readonly changes: number }
    readonly integrations: readonly {
      readonly integration_id: string
      readonly source: string | null
      readonly state: string | null
      readonly setup?: string
      readonly schedule_stopped_because?: string | null
      readonly streams: readonly {
        readonly stream: string
        readonly state: string | null
        readonly watermark: string | null
        readonly observed?: number
        readonly drift?: { readonly records: number; readonly started_at: string } | null
        readonly error?: { readonly code: string; readonly message: string } | null
      }[]
      readonly models: readonly {
        readonly model: string
        readonly records: number
        readonly deleted: number
        readonly changes: number
      }[]
    }[]
    readonly services: Readonly<Record<string, { readonly lag?: number; readonly state?: string }>>
  }
}

/** Prints how every integration and service stands. Exit code 1 when a listing is failing. */
export async function statusCommand(
  { print, style }: CommandContext,
  target: Target,
  flags: { readonly json?: boolean },
): CommandResult {
  const body = await getJson<StatusBody>(target, '/v1/status')
  const { data } = body
  const failing = data.integrations.flatMap((i) =>
    i.streams.filter((s) => s.error).map((s) => ({ ...s, integration: i.integration_id })),
  )
  if (flags.json) {
    print(JSON.stringify(data))
    return failing.length === 0 ? 0 : 1
  }
  const n = (value: number): string => value.toLocaleString('en-US')
  print(`${n(data.totals.records)} records (${n(data.totals.deleted)} deleted), ${n(data.totals.changes)} changes`)
  for (const [name, { lag, state }] of Object.entries(data.services)) {
    if (lag !== undefined)
      print(
        `${name.padEnd(16)} ${lag === 0 ? style.green('up to date') : style.yellow(`${n(lag)} behind`)}${state && state !== 'running' ? ` (${state})` : ''}`,
      )
  }
  for (const integration of data.integrations) {
    print('')
    print(
      `${style.bold(integration.integration_id)}  ${integration.state ?? 'unknown'}${integration.source === null ? style.yellow('  no source reads it any more') : ''}`,
    )
    if (integration.setup !== undefined && integration.setup !== 'READY') print(style.yellow(`  ${integration.setup}`))
    if (integration.schedule_stopped_because) print(style.red(`  ${printable(integration.schedule_stopped_because)}`))
    for (const { model, records, deleted, changes } of integration.models) {
      print(
        `  ${model.padEnd(24)} ${n(records - deleted).padStart(9)} present ${n(deleted).padStart(7)} deleted ${n(changes).padStart(9)} changes`,
      )
    }
    for (const { stream, state, watermark, drift } of integration.streams) {
      if (drift && drift.records > 0)
        print(
          style.yellow(
            `  ${stream}: the pass of ${drift.started_at} found ${n(drift.records)} changes that no webhook had brought`,
          ),
        )
      print(style.dim(`  ${stream.padEnd(24)} ${(state ?? '').padEnd(9)} complete up to ${watermark ?? 'nothing yet'}`))
    }
  }
  for (const { integration, stream, error } of failing)
    print(style.red(`${integration} ${stream}: ${error?.code}: ${printable(error?.message ?? '')}`))
  return failing.length === 0 ? 0 : 1
}
