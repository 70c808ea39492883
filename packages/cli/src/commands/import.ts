import { createReadStream, existsSync } from 'node:fs'
import { TidemarkError } from '@tidemark/base'
import { type ImportReport, importLog, type TransferProgress } from '@tidemark/transfer'
import type { Config } from '../config.ts'
import { loggerOf } from '../logger.ts'
import type { CommandContext, CommandResult } from '../program.ts'
import { createProgressLine } from '../progressLine.ts'
import { openCluster } from '../runtime/backend.ts'

export interface ImportFlags {
  /** A file; `-` or nothing is stdin. */
  readonly input?: string
}

type ByteInput = AsyncIterable<Uint8Array> & { readonly isTTY?: boolean }

/** Writes an export into the Kafka cluster and the registry of the configuration. Exit code 0 only when all of it is there. */
export async function importCommand(
  context: CommandContext,
  config: Config,
  flags: ImportFlags,
  stdin: ByteInput,
): CommandResult {
  if (config.kafka === undefined) {
    throw invalid('kafka', 'an import needs brokers and a registry; name them under "kafka" in the file of --config')
  }
  const chunks = inputOf(flags, stdin)
  const logger = loggerOf(config)
  const { kafka, registry } = await openCluster(config, { clock: context.clock, logger })
  const line = createProgressLine(context)
  const onProgress = ({ done, total, topic }: TransferProgress): void =>
    line.update({ done, total, unit: 'records', text: topic })
  try {
    const target = {
      log: kafka.log,
      registry,
      startAt: kafka.startAt,
      registerAs: registry.registerAs.bind(registry),
    }
    const report = await importLog(chunks, target, { signal: context.signal, onProgress })
    line.end()
    tell(report, context)
    return 0
  } finally {
    line.clear()
    await kafka.close()
    await registry.close()
  }
}

function inputOf({ input }: ImportFlags, stdin: ByteInput): AsyncIterable<Uint8Array> {
  if (input === undefined || input === '-') {
    if (!stdin.isTTY) return stdin
    throw invalid('input', 'nothing is piped in; name a file with --input, or pipe from tidemark export')
  }
  if (!existsSync(input)) throw invalid('input', `there is no file ${input}`)
  return createReadStream(input, { highWaterMark: 1024 * 1024 })
}

function tell(report: ImportReport, { note, style }: CommandContext): void {
  const n = (value: number): string => value.toLocaleString('en-US')
  for (const { topic, setting, expected, found } of report.differences) {
    note(style.yellow(`${topic}: ${setting} is ${found} in Kafka, ${expected} in the export; it was left as it is`))
  }
  const { topics, records, appended, schemas, groups } = report
  const before = records - appended
  note(
    `imported ${n(records)} records of ${topics} topics${before > 0 ? ` (${n(before)} were there and are equal)` : ''}, ${schemas} schema versions, positions of ${groups} groups`,
  )
}

function invalid(key: string, what: string): TidemarkError {
  return new TidemarkError('CONFIG_INVALID', `${key}: ${what}`, { fields: { key } })
}
