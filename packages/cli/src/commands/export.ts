import { createWriteStream, existsSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Clock, type DirectoryLock, lockDirectory, TidemarkError } from '@tidemark/base'
import { openEmbedded } from '@tidemark/log-embedded'
import { type ExportReport, exportLog, type TransferProgress } from '@tidemark/transfer'
import type { Config } from '../config.ts'
import type { CommandContext, CommandResult } from '../program.ts'
import { createProgressLine } from '../progressLine.ts'
import { hasEmbeddedLog } from '../runtime/backend.ts'

export interface ExportFlags {
  /** A file that does not exist yet; `-` or nothing is stdout. */
  readonly output?: string
}

type ByteOutput = NodeJS.WritableStream & { readonly isTTY?: boolean }

/** Writes everything of a data directory that nobody has open. Exit code 0 only when all of it was written. */
export async function exportCommand(
  context: CommandContext,
  config: Config,
  flags: ExportFlags,
  stdout: ByteOutput,
): CommandResult {
  if (!hasEmbeddedLog(config.data)) {
    throw invalid('data', `there is no tidemark data in ${config.data}; name it with --data`)
  }
  const output = flags.output === undefined || flags.output === '-' ? undefined : flags.output
  if (output === undefined && stdout.isTTY) {
    throw invalid('output', 'an export is not for a terminal; name a file with --output, or pipe it to tidemark import')
  }
  if (output !== undefined && existsSync(output)) throw invalid('output', `${output} exists; name another file`)
  const lock = lockIdle(config.data)
  const line = createProgressLine(context)
  const onProgress = ({ done, total, topic }: TransferProgress): void =>
    line.update({ done, total, unit: 'records', text: topic })
  try {
    const report = output
      ? await exportToFile(config.data, context, onProgress, output)
      : await exportToPipe(config.data, context, onProgress, stdout)
    line.end()
    context.note(`exported ${describe(report)}${output ? ` to ${output}` : ''}`)
    return 0
  } finally {
    line.clear()
    lock.release()
  }
}

/** A reader that ends early (`| head`) ends this process: with an error, because not everything was written. */
async function exportToPipe(
  data: string,
  context: CommandContext,
  onProgress: (progress: TransferProgress) => void,
  stdout: ByteOutput,
): Promise<ExportReport> {
  process.exitCode = 1
  const report = await exportTo(data, context, onProgress, (bytes) => pipeline(bytes, stdout, { end: false }))
  process.exitCode = 0
  return report
}

/** The file has its name only when it is complete and on disk. */
async function exportToFile(
  data: string,
  context: CommandContext,
  onProgress: (progress: TransferProgress) => void,
  file: string,
): Promise<ExportReport> {
  const part = `${file}.part`
  try {
    const report = await exportTo(data, context, onProgress, (bytes) => pipeline(bytes, createWriteStream(part)))
    const handle = await open(part, 'r')
    await handle.sync()
    await handle.close()
    await rename(part, file)
    return report
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

async function exportTo(
  data: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
  onProgress: (progress: TransferProgress) => void,
  write: (bytes: Readable) => Promise<void>,
): Promise<ExportReport> {
  const source = await openEmbedded({ path: join(data, 'log'), clock, readOnly: true })
  try {
    let report: ExportReport | undefined
    const onEnd = (done: ExportReport): void => {
      report = done
    }
    const chunks = exportLog(source, { clock, signal, onProgress, onEnd })
    await write(Readable.from(chunks, { highWaterMark: 2 }))
    if (report === undefined) throw new TidemarkError('EXPORT_INVALID', 'The export did not come to its end.')
    return report
  } finally {
    await source.close()
  }
}

function lockIdle(data: string): DirectoryLock {
  try {
    return lockDirectory(data)
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.code !== 'DATA_DIRECTORY_LOCKED') throw error
    throw new TidemarkError(
      error.code,
      `${error.message} An export is of one moment: nobody may write to the directory meanwhile.`,
      { cause: error, fields: error.fields },
    )
  }
}

function describe({ topics, records, schemas, groups }: ExportReport): string {
  const n = (value: number): string => value.toLocaleString('en-US')
  return `${n(records)} records of ${topics} topics, ${schemas} schema versions, positions of ${groups} groups`
}

function invalid(key: string, what: string): TidemarkError {
  return new TidemarkError('CONFIG_INVALID', `${key}: ${what}`, { fields: { key } })
}
