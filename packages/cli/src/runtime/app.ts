import { join } from 'node:path'
import { registerOperations } from '@tidemark/api'
import { backoffMs, type Clock, classify, type Random, type TidemarkError } from '@tidemark/base'
import { createWebhookReceiver, type NamedSource, openSpool, type WebhookReceiver } from '@tidemark/ingress'
import { createMetrics, type Logger, type Metrics } from '@tidemark/telemetry'
import type { Config } from '../config.ts'
import { type Backend, openBackend, takeDirectory } from './backend.ts'
import { Cleanup } from './cleanup.ts'
import { type Front, newApplication, openFront } from './front.ts'
import { type SandboxSource, startSandbox } from './sandboxSource.ts'
import { apiKeysOf, type RunningServices, type ServiceName, startServices } from './services.ts'
import { openSources } from './sources.ts'
import { keepSubscriptions } from './subscriptions.ts'

export interface AppDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Ends the waiting for Kafka at the start. */
  readonly signal: AbortSignal
  /** What this process runs. */
  readonly services: ReadonlySet<ServiceName>
  /** Told when a part can no longer go on; the process should end. */
  readonly onFatal: (error: unknown) => void
  /** Told why it cannot start yet, and when it tries again. */
  readonly onWaiting: (reason: string, waitMs: number) => void
}

/** The services of one process. */
export interface App extends RunningServices {
  readonly url: string
  readonly config: Config
  readonly backend: Backend
  readonly metrics: Metrics
  readonly sandbox: SandboxSource | undefined
  /** Ends everything in the order in which data flows. */
  stop(): Promise<void>
}

/**
 * Starts services over an embedded data directory or over Kafka. Without configured sources, ingress starts the sandbox and reads that.
 * The port is open from the beginning: while Kafka, its registry or PostgreSQL cannot be reached, webhooks go to the spool, /readyz
 * says why it answers 503, and the start is tried again without end. Throws what no waiting mends (CONFIG_INVALID, TOPIC_MISMATCH,
 * SCHEMA_INCOMPATIBLE, DATA_DIRECTORY_LOCKED …), or the reason of the signal, with nothing left open.
 */
export async function startApp(config: Config, deps: AppDeps): Promise<App> {
  const cleanup = new Cleanup()
  try {
    return await start(config, deps, cleanup)
  } catch (error) {
    await cleanup.run().catch((also: unknown) => deps.logger.error({ err: also }, 'closing after a failed start'))
    throw error
  }
}

async function start(config: Config, deps: AppDeps, cleanup: Cleanup): Promise<App> {
  const { clock, random, logger, services } = deps
  // What is wrong in the configuration is told before anything is opened or created.
  const configured = openSources(config.sources, { clock, random })
  cleanup.add(() => closeAll(configured))
  const lock = takeDirectory(config.data)
  cleanup.add(() => lock.release())
  const metrics = createMetrics()
  const front = await openFront({ host: config.host, port: config.port, clock })
  cleanup.add(() => front.close())
  const simulates = services.has('ingress') && config.sources.length === 0
  const sandbox = simulates ? await startSandbox(config, { clock, logger }) : undefined
  cleanup.add(() => sandbox?.stop())
  const simulated = sandbox ? openSources(sandbox.configs, { clock, random }) : []
  cleanup.add(() => closeAll(simulated))
  const sources = [...configured, ...simulated]
  const readiness: { reasons: readonly string[] } = { reasons: ['starting'] }
  const notReady = (): readonly string[] => readiness.reasons
  const receiver = await openReceiver(config, deps, sources, metrics, cleanup)
  await serveWaiting(front, { config, logger, metrics, receiver, notReady })

  const connected = await connect(
    config,
    deps,
    cleanup,
    (backend, own) => startServices({ config, backend, sources, receiver, metrics, notReady, ...deps }, own),
    (error) => {
      readiness.reasons = [`${error.title}: ${error.message}`]
    },
  )
  readiness.reasons = ['starting']
  await front.serve(connected.running.application)
  sandbox?.setWebhookTargets(front.url)
  readiness.reasons = []
  const publicUrl = sandbox ? front.url : config.public_url
  if (publicUrl !== undefined && services.has('ingress')) {
    const subscribing = new AbortController()
    const subscribed = keepSubscriptions(sources, publicUrl, { clock, random, logger, signal: subscribing.signal })
    cleanup.add(async () => {
      subscribing.abort()
      await subscribed
    })
  }
  const stop = async (): Promise<void> => {
    readiness.reasons = ['stopping']
    // Nobody is answered by services that are half gone.
    await front.close()
    await cleanup.run()
  }
  return { ...connected.running, url: front.url, config, backend: connected.backend, metrics, sandbox, stop }
}

const closeAll = async (sources: readonly NamedSource[]): Promise<void> => {
  await Promise.all(sources.map(({ source }) => source.close()))
}

/** Webhooks are taken from the beginning. The embedded log cannot be away, so it has no spool. */
async function openReceiver(
  config: Config,
  { clock, random, logger, services }: AppDeps,
  sources: readonly NamedSource[],
  metrics: Metrics,
  cleanup: Cleanup,
): Promise<WebhookReceiver | undefined> {
  if (!services.has('ingress')) return undefined
  const base = { sources, clock, random, logger, metrics }
  if (config.mode === 'embedded') return createWebhookReceiver(base)
  const spool = await openSpool({ directory: join(config.data, 'spool'), bytesMax: config.spool_bytes_max, logger })
  cleanup.add(() => spool.close())
  const receiver = createWebhookReceiver({ ...base, spool })
  cleanup.add(() => receiver.stop())
  return receiver
}

interface Waiting {
  readonly config: Config
  readonly logger: Logger
  readonly metrics: Metrics
  readonly receiver: WebhookReceiver | undefined
  readonly notReady: () => readonly string[]
}

/** What is served until the services run: health, metrics and webhooks. */
async function serveWaiting(front: Front, { config, logger, metrics, receiver, notReady }: Waiting): Promise<void> {
  const application = newApplication(logger)
  await application.register(async (scope) => receiver?.registerRoutes(scope))
  const operations = { notReady, metrics, apiKeys: apiKeysOf(config) }
  await application.register(async (scope) => registerOperations(scope, operations))
  await front.serve(application)
}

const BACKOFF = { startMs: 1000, maxMs: 30_000 }

interface Connected {
  readonly backend: Backend
  readonly running: RunningServices
}

/** Opens the backend and starts the services; what fails for now is taken back and tried again, on Kafka without end. */
async function connect(
  config: Config,
  deps: AppDeps,
  cleanup: Cleanup,
  startAll: (backend: Backend, own: Cleanup) => Promise<RunningServices>,
  onFailure: (error: TidemarkError) => void,
): Promise<Connected> {
  const { clock, random, logger, signal } = deps
  for (let attempt = 0; ; attempt++) {
    const own = new Cleanup()
    try {
      const backend = await openBackend(config, deps)
      own.add(() => backend.close())
      const running = await unlessAborted(signal, startAll(backend, own))
      cleanup.add(() => own.run())
      return { backend, running }
    } catch (thrown) {
      const error = classify(thrown)
      await own.run().catch((also: unknown) => logger.error({ err: also }, 'closing after a failed start'))
      if (config.mode === 'embedded' || error.next !== 'retry') throw error
      onFailure(error)
      const waitMs = Math.ceil(backoffMs(attempt, BACKOFF, random))
      deps.onWaiting(`${error.title}: ${error.message}`, waitMs)
      await clock.sleep(waitMs, signal)
      signal.throwIfAborted()
    }
  }
}

/** The services' own starts wait for PostgreSQL without end; the end of the process does not wait for that. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  try {
    signal.throwIfAborted()
    return await Promise.race([work, aborted])
  } finally {
    work.catch(() => undefined)
    aborted.catch(() => undefined)
  }
}
