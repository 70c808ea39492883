import { randomBytes } from 'node:crypto'
import { classify, fromNext, systemClock, TidemarkError } from '@tidemark/base'
import { Command, CommanderError } from 'commander'
import type { SecureRandom } from './apiKey.ts'
import { ApiError, type Target } from './client.ts'
import { createStyle, type Style, wantsColor } from './colors.ts'
import { type ApiKeyFlags, apiKeyCommand } from './commands/apiKey.ts'
import { type CheckFlags, checkCommand } from './commands/check.ts'
import { diffCommand } from './commands/diff.ts'
import { type ExportFlags, exportCommand } from './commands/export.ts'
import { heldCommand } from './commands/held.ts'
import { historyCommand } from './commands/history.ts'
import { type ImportFlags, importCommand } from './commands/import.ts'
import { PROJECTIONS, type ReplayFlags, replayCommand } from './commands/replay.ts'
import { secretKeyCommand, secretResealCommand, secretSealCommand, secretSealFileCommand } from './commands/secret.ts'
import { statusCommand } from './commands/status.ts'
import { type SubscriptionsFlags, subscriptionsCommand } from './commands/subscriptions.ts'
import { syncCommand } from './commands/sync.ts'
import { type UpFlags, upCommand } from './commands/up.ts'
import { verifyCommand } from './commands/verify.ts'
import { watchCommand } from './commands/watch.ts'
import { type Config, loadConfig, SANDBOXES, withSandbox } from './config.ts'
import { SERVICES } from './runtime/services.ts'
import type { SecretInput } from './secrets/readSecret.ts'

export interface Output {
  /** Told once when a slow reader has taken what was written. */
  once?(event: 'drain', listener: () => void): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): boolean
}

export interface CliIo {
  readonly stdout: Output
  readonly stderr: Output
  /** Default: the process's. */
  readonly stdin?: SecretInput
  readonly env: Readonly<Record<string, string | undefined>>
}

/** What every command gets. */
export interface CommandContext {
  readonly io: CliIo
  readonly style: Style
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal
  readonly clock: typeof systemClock
  readonly random: ReturnType<typeof fromNext>
  /** So many bytes that nobody can guess. */
  readonly secureRandom: SecureRandom
  readonly print: (line: string) => void
  readonly note: (line: string) => void
}

/** Exit code 0 only when what was asked is true. */
export type CommandResult = Promise<number>

const FAILED = 1
const USAGE = 2

/** Runs the command line and returns the exit code; never throws. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const stopping = new AbortController()
  const stop = (): void => stopping.abort()
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  // `tidemark watch | head` ends the pipe: that is an end, not a failure.
  const onPipe = (error: NodeJS.ErrnoException): void => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0)
    throw error
  }
  process.stdout.on('error', onPipe)
  const context: CommandContext = {
    io,
    style: createStyle(wantsColor(io.env, io.stdout.isTTY === true)),
    signal: stopping.signal,
    clock: systemClock,
    random: fromNext(Math.random),
    secureRandom: randomBytes,
    print: (line) => void io.stdout.write(`${line}\n`),
    note: (line) => void io.stderr.write(`${line}\n`),
  }
  try {
    let code = 0
    await createProgram(context, (result) => {
      code = result
    }).parseAsync(argv as string[])
    return code
  } catch (error) {
    return reportFailure(error, context)
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
    // The end of a pipe is told after the last write, when this function may have ended.
  }
}

function reportFailure(error: unknown, { note, style, io }: CommandContext): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE
  if (error instanceof ApiError) {
    note(`${style.red('refused')} ${error.code ?? error.status}: ${error.message}`)
    return FAILED
  }
  const failure = error instanceof TidemarkError ? error : classify(error)
  note(`${style.red(failure.title)} (${failure.code}): ${failure.message}`)
  if (failure.code === 'INTERNAL' && io.env['TIDEMARK_TRACE']) note(String((error as Error).stack))
  return FAILED
}

interface CommonFlags {
  readonly config?: string
  readonly data?: string
  readonly port?: string
}

interface ClientFlags extends CommonFlags {
  readonly url?: string
  readonly key?: string
}

function createProgram(context: CommandContext, done: (code: number) => void): Command {
  const program = new Command('tidemark')
    .description('Change data capture for applicant tracking systems')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.io.stdout.write(text),
      writeErr: (text) => void context.io.stderr.write(text),
    })
    .showHelpAfterError('(see: tidemark --help)')
  const configOf = (flags: CommonFlags): Config => loadConfig({ flags, env: context.io.env })
  const targetOf = (flags: ClientFlags): Target => ({
    url: flags.url ?? context.io.env['TIDEMARK_URL'] ?? `http://127.0.0.1:${configOf(flags).port}`,
    key: flags.key ?? context.io.env['TIDEMARK_KEY'],
    wait: (ms) => context.clock.sleep(ms, context.signal),
  })
  const add = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('--config <file>', 'configuration (default ./tidemark.yaml if present)')
  const client = (command: Command): Command =>
    command
      .option('--port <number>', 'port of a tidemark on this machine (default 8080)')
      .option('--url <url>', 'address of the tidemark to ask (or TIDEMARK_URL)')
      .option('--key <key>', 'API key (or TIDEMARK_KEY)')
      .option('--json', 'print JSON')

  add('up', 'run everything in one process; without a configuration against a simulated ATS')
    .option('--data <dir>', 'data directory (default ./data)')
    .option('--port <number>', 'port to listen on (default 8080)')
    .option('--service <name>', `run only this service (mode: kafka; repeatable): ${SERVICES.join(', ')}`, collect, [])
    .option('--sandbox <names>', `read a simulated company as ${SANDBOXES.join(', ')} or all (default kombo)`)
    .option('--no-feed', 'do not print the live feed')
    .option('--json', 'print the feed as JSON lines')
    .action(async (flags: CommonFlags & UpFlags) =>
      done(await upCommand(context, withSandbox(configOf(flags), flags.sandbox), flags)),
    )

  client(add('watch', 'follow changes as they happen'))
    .option('--integration <id>', 'only this integration (repeatable)', collect, [])
    .option('--model <name>', 'only this model (repeatable)', collect, [])
    .option('--field <path>', 'only changes of this field (repeatable)', collect, [])
    .option('--from <where>', 'earliest or latest', 'latest')
    .option('--last-event-id <id>', 'go on behind this event')
    .option('--limit <n>', 'end after so many changes')
    .action(async (flags) => done(await watchCommand(context, targetOf(flags), flags)))

  client(add('history', 'who changed what in one record, when, and how we know'))
    .argument('<model>', 'for example candidates')
    .argument('<id>', 'public id of the record')
    .option('--integration <id>', 'when several integrations have this id')
    .option('--field <path>', 'only this field')
    .action(async (model: string, id: string, flags) =>
      done(await historyCommand(context, targetOf(flags), { model, id, ...flags })),
    )

  client(add('diff', 'what changed in an integration between two times, record by record'))
    .argument('<integration>', 'for example kombo:8d1hp; tidemark status lists them')
    .requiredOption('--from <time>', 'ISO time, or a duration before now like 2h or 7d')
    .option('--to <time>', 'ISO time, or a duration before now (default now)')
    .option('--model <name>', 'only this model (repeatable)', collect, [])
    .action(async (integration: string, flags) =>
      done(await diffCommand(context, targetOf(flags), { integration, ...flags })),
    )

  client(add('status', 'sync state, counts and lag per integration and model')).action(async (flags) =>
    done(await statusCommand(context, targetOf(flags), flags)),
  )

  const sync = client(add('sync', 'ask for a sync now and wait for its end'))
    .option('--full', 'fetch everything, not only what changed')
    .option('--integration <id>', 'only this integration (default all)')
    .option('--no-wait', 'do not wait for the end')
    .action(async (flags) => done(await syncCommand(context, targetOf(flags), flags)))
  client(sync.command('held').description('mass deletions that wait for a decision, and the decision'))
    .option('--config <file>', 'configuration (default ./tidemark.yaml if present)')
    .argument('[decision]', 'confirm or discard; without it they are listed')
    .argument('[integration]')
    .argument('[model]')
    .action(
      async (decision: string | undefined, integration: string | undefined, model: string | undefined, _, own) => {
        const flags = (own as Command).optsWithGlobals()
        done(await heldCommand(context, targetOf(flags), { decision, integration, model }, flags))
      },
    )

  add('check', 'ask the providers what the configured credentials may read, model by model')
    .argument('[source]', 'name of a source in the configuration (default all)')
    .option('--integration <id>', 'this integration instead of the configured ones')
    .option('--json', 'print JSON')
    .action(async (source: string | undefined, flags: CommonFlags & CheckFlags) =>
      done(await checkCommand(context, configOf(flags), source, flags)),
    )

  program
    .command('api-key')
    .description('make an API key: prints it once, and its hash for the configuration')
    .option('--name <name>', 'name of the key', 'default')
    .option('--json', 'print JSON')
    .action((flags: ApiKeyFlags) => done(apiKeyCommand(context, flags)))

  add('subscriptions', 'have a provider send its webhooks to public_url, or no longer; without a running tidemark')
    .argument('<source>', 'name of a source in the configuration')
    .option('--remove', 'remove what sends to <public_url>/webhooks/<source>')
    .option('--json', 'print JSON')
    .action(async (source: string, flags: CommonFlags & SubscriptionsFlags) =>
      done(await subscriptionsCommand(context, configOf(flags), source, flags)),
    )

  addSecret(program, context, done)

  add('verify', 'walk the topics and tables and check every promise; exit code 1 when one is broken')
    .option('--data <dir>', 'data directory (default ./data)')
    .option('--port <number>', 'port of a tidemark that is running on the data directory')
    .option('--json', 'print the report as JSON')
    .action(async (flags: CommonFlags & { json?: boolean }) =>
      done(await verifyCommand(context, configOf(flags), flags)),
    )

  add('replay', 'rebuild a projection from the stream, or read the stream again from a time or offset')
    .argument('[projection]', `rebuild it beside the live one and switch: ${PROJECTIONS.join(', ')}`)
    .option('--data <dir>', 'data directory (default ./data)')
    .option('--restart', 'of a rebuild: throw an unfinished one away')
    .option('--accept-gaps', 'of a rebuild: go on where retention removed the first changes')
    .option('--from <where>', 'print as JSON lines from a time, an offset, earliest or latest')
    .option('--group <name>', 'with --from: set the positions of this consumer group instead of printing')
    .option('--model <name>', 'with --from: only the changes of this model (repeatable)', collect, [])
    .option('--topic <name>', 'with --from: this topic (repeatable)', collect, [])
    .option('--json', 'print the result of a rebuild as JSON')
    .action(async (projection: string | undefined, flags: CommonFlags & ReplayFlags) =>
      done(await replayCommand(context, configOf(flags), projection, flags)),
    )

  add('export', 'write everything of a data directory that nobody has open as one stream')
    .option('--data <dir>', 'data directory (default ./data)')
    .option('--output <file>', 'a new file, or - for stdout', '-')
    .action(async (flags: CommonFlags & ExportFlags) =>
      done(await exportCommand(context, configOf(flags), flags, process.stdout)),
    )

  add('import', 'write an export into Kafka and its schema registry; run again, it goes on where it was')
    .option('--input <file>', 'a file, or - for stdin', '-')
    .action(async (flags: CommonFlags & ImportFlags) =>
      done(await importCommand(context, configOf(flags), flags, process.stdin)),
    )
  return program
}

/** `tidemark secret …`: the keys and texts of values that are encrypted in the configuration. */
function addSecret(program: Command, context: CommandContext, done: (code: number) => void): void {
  const secret = program.command('secret').description('encrypt secrets of the configuration')
  const inFile = (name: string, description: string): Command =>
    secret.command(name).description(description).option('--config <file>', 'configuration (default ./tidemark.yaml)')
  secret
    .command('key')
    .description('make a key for TIDEMARK_SECRET_KEY')
    .action(() => done(secretKeyCommand(context)))
  secret
    .command('seal')
    .description('seal a value from standard input; prints what to write in its place')
    .action(async () => done(await secretSealCommand(context)))
  inFile('seal-file', 'seal the secrets that stand in the configuration as plain text, in place').action(
    (flags: CommonFlags) => done(secretSealFileCommand(context, flags)),
  )
  inFile('reseal', 'seal what is sealed in the configuration with the current key, in place').action(
    (flags: CommonFlags) => done(secretResealCommand(context, flags)),
  )
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, ...value.split(',').filter((part) => part !== '')]
}
