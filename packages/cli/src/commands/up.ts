import { TidemarkError } from '@tidemark/base'
import { newApiKey } from '../apiKey.ts'
import type { ApiKeyConfig, Config } from '../config.ts'
import { formatChange } from '../feed.ts'
import { loggerOf } from '../logger.ts'
import type { CommandContext, CommandResult } from '../program.ts'
import { createProgressLine, type Progress } from '../progressLine.ts'
import { type App, startApp } from '../runtime/app.ts'
import { SERVICES, type ServiceName } from '../runtime/services.ts'
import { secretWarnings } from '../secrets/secretKeys.ts'
import { removeServerFile, writeServerFile } from '../serverFile.ts'
import { followChanges } from '../watch.ts'

export interface UpFlags {
  readonly feed: boolean
  readonly json?: boolean
  /** What the simulated company is read as: names of simulators, or all. */
  readonly sandbox?: string
  /** What to run; all when empty. */
  readonly service: readonly string[]
}

const PROGRESS_EVERY_MS = 200
const STOP_WITHIN_MS = 20_000

/** Runs everything until interrupted. Prints the first sync's progress, then changes as they happen. */
export async function upCommand(context: CommandContext, config: Config, flags: UpFlags): CommandResult {
  const { clock, random, note, style } = context
  const logger = loggerOf(config)
  const fatal = new AbortController()
  const onFatal = (error: unknown): void => {
    logger.fatal({ err: error }, 'a part of tidemark cannot go on; it ends')
    fatal.abort(error)
  }
  const services = servicesOf(config, flags.service)
  for (const warning of secretWarnings(config)) note(style.yellow(warning))
  note(style.dim(`opening ${config.mode === 'kafka' ? config.kafka?.brokers.join(', ') : config.data} …`))
  const signal = AbortSignal.any([context.signal, fatal.signal])
  const onWaiting = (reason: string, waitMs: number): void =>
    note(style.yellow(`${reason} Trying again in ${(waitMs / 1000).toFixed(0)} s.`))
  const own = ownKey(config, context)
  const app = await startApp(own ? { ...config, api_keys: [...config.api_keys, own.entry] } : config, {
    clock,
    random,
    logger,
    signal,
    services,
    onFatal,
    onWaiting,
  }).catch((error: unknown) => {
    if (context.signal.aborted) return undefined
    throw error
  })
  if (!app) return 0
  try {
    writeServerFile(config.data, { pid: process.pid, url: app.url, ...(own ? { key: own.key } : {}) })
    printWelcome(app, context, services)
    if (flags.feed && services.size === SERVICES.length) await showFeed(app, context, flags, signal, own?.key)
    else await untilAborted(signal)
  } finally {
    note(style.dim('stopping …'))
    const timer = setTimeout(() => {
      note(
        style.red(
          `not stopped within ${STOP_WITHIN_MS / 1000} s; ending. Nothing acknowledged is lost: the next start goes on from the log.`,
        ),
      )
      process.exit(1)
    }, STOP_WITHIN_MS)
    await app.stop()
    clearTimeout(timer)
    removeServerFile(config.data)
  }
  if (fatal.signal.aborted) throw fatal.signal.reason
  return 0
}

/**
 * A key of this process's own, for its feed and for commands on its directory: of the configured ones only hashes are known. None where
 * no keys are configured, which serves this machine without.
 */
function ownKey(
  { api_keys }: Config,
  { secureRandom }: CommandContext,
): { readonly key: string; readonly entry: ApiKeyConfig } | undefined {
  if (api_keys.length === 0) return undefined
  const { key, hash } = newApiKey(secureRandom)
  return { key, entry: { name: 'tidemark up', hash, write: true } }
}

/** Several services on one embedded directory cannot be: it belongs to one process. */
function servicesOf(config: Config, names: readonly string[]): ReadonlySet<ServiceName> {
  const known: readonly string[] = SERVICES
  const wrong = names.find((name) => !known.includes(name))
  if (wrong !== undefined)
    throw new TidemarkError('CONFIG_INVALID', `--service: there is no "${wrong}"; known: ${known.join(', ')}`)
  if (names.length > 0 && config.mode === 'embedded')
    throw new TidemarkError(
      'CONFIG_INVALID',
      '--service: the embedded mode runs everything in one process; set mode: kafka',
    )
  return new Set((names.length === 0 ? known : names) as readonly ServiceName[])
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function printWelcome(app: App, { note, style }: CommandContext, services: ReadonlySet<ServiceName>): void {
  note('')
  const what = services.size === SERVICES.length ? '' : `, running ${[...services].join(', ')}`
  note(`${style.bold('tidemark')} listens on ${style.cyan(app.url)}${what}`)
  for (const line of app.sandbox?.described ?? []) note(`  ${line}`)
  if (services.has('api')) {
    note(`  reads     ${app.url}/v1/ats/candidates   (with X-Integration-Id)`)
    note(`  changes   ${app.url}/v1/changes          (Server-Sent Events)`)
    note(`  status    ${app.url}/v1/status`)
  }
  for (const d of app.differences)
    note(
      style.yellow(
        `topic ${d.topic}: ${d.setting} is ${d.found}, the configuration asks for ${d.expected}; it is left as it is`,
      ),
    )
  note('')
}

/** The first sync's progress until everything fetched is readable, then the live feed until aborted. */
async function showFeed(
  app: App,
  context: CommandContext,
  flags: UpFlags,
  signal: AbortSignal,
  key: string | undefined,
): Promise<void> {
  await showSync(app, context, signal)
  if (signal.aborted) return
  const changes = followChanges({
    target: { url: app.url, key },
    query: { display: 'true', from: 'latest' },
    signal,
    clock: context.clock,
    random: context.random,
    onOpen: () => printHints(app, context),
    onLost: (message) => context.note(context.style.dim(`feed lost: ${message}`)),
  })
  for await (const { change, data } of changes) context.print(flags.json ? data : formatChange(change, context.style))
}

interface SyncProgress {
  readonly listings: number
  readonly listingsDone: number
  /** Observations appended by this process. */
  readonly observed: number
  /** Of those, records that are not in the tables yet. */
  readonly behind: number
  readonly isWaiting: boolean
}

async function progressOf(app: App): Promise<SyncProgress> {
  const integrations = app.ingress?.status() ?? []
  const streams = integrations.flatMap((i) => i.streams)
  const { values } = await app.metrics.observed.get()
  return {
    listings: streams.length,
    listingsDone: streams.filter((s) => s.watermarkMs !== null && s.state === 'idle').length,
    observed: values.reduce((sum, v) => sum + v.value, 0),
    behind: (app.processor?.status() ?? []).reduce((sum, p) => sum + p.lag, 0) + (app.projector?.status().lag ?? 0),
    isWaiting: integrations.some((i) => i.isWaitingForProvider),
  }
}

/** Done are records that went the whole way; their total is known once every listing has been read to its end. */
function describeProgress(p: SyncProgress): Progress {
  const done = Math.max(0, p.observed - p.behind)
  const text = p.isWaiting
    ? 'waiting for the first sync of the ATS'
    : `${p.listingsDone} of ${p.listings} listings read`
  return { done, ...(p.listingsDone === p.listings ? { total: p.observed } : {}), unit: 'records', text }
}

async function showSync(app: App, context: CommandContext, signal: AbortSignal): Promise<void> {
  const line = createProgressLine(context)
  const started = context.clock.now()
  let p = await progressOf(app)
  while (!signal.aborted && (p.listingsDone < p.listings || p.behind > 0)) {
    line.update(describeProgress(p))
    await context.clock.sleep(PROGRESS_EVERY_MS, signal)
    p = await progressOf(app)
  }
  line.end()
  if (signal.aborted) return
  const seconds = ((context.clock.now() - started) / 1000).toFixed(1)
  const fetched = p.observed.toLocaleString('en-US')
  const of = `${p.listings} listings of ${app.ingress?.status().length} integrations`
  context.note(context.style.green(`in sync: ${of}, ${fetched} records fetched in ${seconds} s`))
}

function printHints(app: App, { note, style }: CommandContext): void {
  const flags = `${app.config.port === 8080 ? '' : ` --port ${new URL(app.url).port}`}${app.config.api_keys.length > 0 ? ' --key …' : ''}`
  const data = app.config.data === './data' ? '' : ` --data ${app.config.data}`
  note('')
  note('Try next, in another terminal:')
  note(`  ${style.cyan(`npx tidemark watch --model applications --field current_stage_id${flags}`)}`)
  note(`  ${style.cyan(`npx tidemark status${flags}`)}`)
  note(`  ${style.cyan(`npx tidemark verify${data}`)}`)
  note('')
  note(style.dim('changes as they happen (Ctrl-C ends):'))
}
