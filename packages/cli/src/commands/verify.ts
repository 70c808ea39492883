import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type DirectoryLock, lockDirectory, TidemarkError } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { openEmbedded } from '@tidemark/log-embedded'
import { openPglite } from '@tidemark/store-embedded'
import { CHECKS, createProjectionReader, type Report, type VerifyProgress, verify } from '@tidemark/verify'
import { PROJECTION_SCHEMA } from '../app.ts'
import { postStream, type Target } from '../client.ts'
import type { Config } from '../config.ts'
import type { CommandContext, CommandResult } from '../program.ts'
import { createProgressLine } from '../progressLine.ts'
import { readServerFile } from '../serverFile.ts'

type OnProgress = (progress: VerifyProgress) => void

export interface VerifyFlags {
  readonly json?: boolean
  readonly key?: string
}

/** Exit code 0 only when every check holds. Asks the process that runs on the data directory, else opens the directory itself. */
export async function verifyCommand(context: CommandContext, config: Config, flags: VerifyFlags): CommandResult {
  if (!existsSync(join(config.data, 'log'))) {
    throw new TidemarkError(
      'CONFIG_INVALID',
      `data: there is no tidemark data in ${config.data}; name it with --data`,
      { fields: { key: 'data' } },
    )
  }
  const line = createProgressLine(context)
  const onProgress = ({ done, total, topic, problems }: VerifyProgress): void =>
    line.update({ done, total, unit: 'records', text: `${topic}${problems > 0 ? `, ${problems} problems` : ''}` })
  const report = await verifyHere(config, context, onProgress, flags.key ?? context.io.env['TIDEMARK_KEY'])
  line.end()
  if (flags.json) context.print(JSON.stringify(report))
  else printReport(report, context)
  return report.ok ? 0 : 1
}

/** In this process when the directory is free, else in the one that has it. */
async function verifyHere(
  config: Config,
  context: CommandContext,
  onProgress: OnProgress,
  key: string | undefined,
): Promise<Report> {
  let lock: DirectoryLock
  try {
    lock = lockDirectory(config.data)
  } catch (error) {
    const server = readServerFile(config.data)
    if (!(error instanceof TidemarkError) || error.code !== 'DATA_DIRECTORY_LOCKED' || server === undefined) throw error
    return verifyOnline({ url: server.url, key }, context, onProgress)
  }
  try {
    return await verifyOffline(config, context, onProgress)
  } finally {
    lock.release()
  }
}

async function verifyOffline(config: Config, context: CommandContext, onProgress: OnProgress): Promise<Report> {
  const embedded = await openEmbedded({ path: join(config.data, 'log'), clock: context.clock })
  try {
    const store = await openPglite({ dataDir: join(config.data, 'postgres') })
    try {
      const codec = await openCodec(embedded.registry)
      const [topic] = await embedded.log.listTopics()
      const partitions = topic?.partitions ?? config.partitions
      const projection = createProjectionReader(store, PROJECTION_SCHEMA)
      const options = { partitions, signal: context.signal, tracked: config.diff.tracked, onProgress }
      return await verify({ log: embedded.log, codec, projection }, options)
    } finally {
      await store.close()
    }
  } finally {
    await embedded.close()
  }
}

async function verifyOnline(target: Target, context: CommandContext, onProgress: OnProgress): Promise<Report> {
  for await (const text of postStream(target, '/v1/verify', context.signal)) {
    const message = JSON.parse(text) as { readonly progress?: VerifyProgress; readonly report?: Report }
    if (message.progress) onProgress(message.progress)
    if (message.report) return message.report
  }
  throw new TidemarkError(
    'PROVIDER_ANSWER_INVALID',
    `the tidemark at ${target.url} ended before its report; see its log`,
  )
}

function printReport(report: Report, { print, style }: CommandContext): void {
  const n = (value: number): string => value.toLocaleString('en-US')
  print(
    `${n(report.changes)} changes of ${n(report.records)} records, ${n(report.snapshots)} snapshots, ${n(report.rows)} rows`,
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
