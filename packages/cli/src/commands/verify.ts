import { TidemarkError } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { OBSERVED_TOPIC } from '@tidemark/model'
import { CHECKS, createProjectionReader, type Report, type VerifyProgress, verify } from '@tidemark/verify'
import type { Config } from '../config.ts'
import { loggerOf } from '../logger.ts'
import { hereOrOnline, runOnline } from '../operation.ts'
import type { CommandContext, CommandResult } from '../program.ts'
import { createProgressLine } from '../progressLine.ts'
import { hasEmbeddedLog, openBackend, PROJECTION_SCHEMA } from '../runtime/backend.ts'

type OnProgress = (progress: VerifyProgress) => void

export interface VerifyFlags {
  readonly json?: boolean
}

/** Exit code 0 only when every check holds. Asks the process that runs on the data directory, else opens the directory itself. */
export async function verifyCommand(context: CommandContext, config: Config, flags: VerifyFlags): CommandResult {
  if (config.mode === 'embedded' && !hasEmbeddedLog(config.data)) {
    throw new TidemarkError(
      'CONFIG_INVALID',
      `data: there is no tidemark data in ${config.data}; name it with --data`,
      { fields: { key: 'data' } },
    )
  }
  const line = createProgressLine(context)
  const onProgress = ({ done, total, topic, problems }: VerifyProgress): void =>
    line.update({ done, total, unit: 'records', text: `${topic}${problems > 0 ? `, ${problems} problems` : ''}` })
  const report = await hereOrOnline(
    context,
    config,
    () => verifyOffline(config, context, onProgress),
    (target) => runOnline<VerifyProgress, Report>(target, '/v1/verify', context.signal, onProgress),
  )
  line.end()
  if (flags.json) context.print(JSON.stringify(report))
  else printReport(report, context)
  return report.ok ? 0 : 1
}

async function verifyOffline(config: Config, context: CommandContext, onProgress: OnProgress): Promise<Report> {
  const logger = loggerOf(config)
  const backend = await openBackend(config, { clock: context.clock, logger })
  try {
    const store = await backend.openStore()
    const codec = await openCodec(backend.registry)
    const observed = (await backend.log.listTopics()).find(({ name }) => name === OBSERVED_TOPIC)
    const partitions = observed?.partitions ?? config.partitions
    const projection = createProjectionReader(store, PROJECTION_SCHEMA)
    const options = { partitions, signal: context.signal, tracked: config.diff.tracked, onProgress }
    return await verify({ log: backend.log, codec, projection }, options)
  } finally {
    await backend.close()
  }
}

function printReport(report: Report, { print, style }: CommandContext): void {
  const n = (value: number): string => value.toLocaleString('en-US')
  print(
    `${n(report.changes)} changes of ${n(report.records)} records, ${n(report.snapshots)} snapshots, ${n(report.rows)} rows, ${n(report.superseded)} superseded versions`,
  )
  const failed = new Set(report.problems.map((p) => p.check))
  for (const [check, promise] of Object.entries(CHECKS)) {
    const skipped = report.skipped.find((s) => s.check === check)
    const mark = skipped
      ? style.yellow('skipped')
      : failed.has(check as keyof typeof CHECKS)
        ? style.red('broken ')
        : style.green('holds  ')
    print(`${mark} ${promise}${skipped ? ` (${skipped.reason})` : ''}`)
  }
  for (const p of report.problems.slice(0, 10)) {
    print(
      style.red(
        `${p.topic}/${p.partition}${p.offset === null ? '' : `@${p.offset}`} ${p.check}: ${p.message}${p.key === null ? '' : ` (${p.key})`}`,
      ),
    )
  }
  if (report.problemsTotal > 10) print(style.red(`… ${n(report.problemsTotal - 10)} more problems`))
  print(report.ok ? style.green('verify: everything holds') : style.red(`verify: ${n(report.problemsTotal)} problems`))
}
