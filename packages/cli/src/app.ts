import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type ApiDeps, registerApi, type StatusProviders } from '@tidemark/api'
import { type Clock, type DirectoryLock, LIMITS, lockDirectory, type Random, TidemarkError } from '@tidemark/base'
import { type OpenCodec, openCodec } from '@tidemark/codec'
import { createProcessor, type Processor } from '@tidemark/diff-processor'
import { createIngress, type Ingress } from '@tidemark/ingress'
import type { TopicDifference } from '@tidemark/log'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import { topicPlans } from '@tidemark/model'
import { createProjector, type Projector } from '@tidemark/projector'
import type { SqlStore } from '@tidemark/store'
import { openPglite } from '@tidemark/store-embedded'
import { createMetrics, type Logger, type Metrics } from '@tidemark/telemetry'
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify'
import type { Config } from './config.ts'
import { type Maintenance, startMaintenance } from './maintenance.ts'
import { type SandboxSource, startSandbox } from './sandboxSource.ts'
import { openSources } from './sources.ts'
import { integrationStatuses, serviceStatuses } from './statusProviders.ts'
import { type SyncTracker, startSyncTracker } from './syncTracker.ts'
import { registerVerify } from './verifyRoute.ts'

/** PostgreSQL schema of the live projection. */
export const PROJECTION_SCHEMA = 'tidemark'

export interface AppDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Told when a part can no longer go on; the process should end. */
  readonly onFatal: (error: unknown) => void
}

/** All services of one process over one data directory. */
export interface App {
  readonly url: string
  readonly config: Config
  readonly codec: OpenCodec
  readonly embedded: Embedded
  readonly store: SqlStore
  readonly ingress: Ingress
  readonly processor: Processor
  readonly projector: Projector
  readonly metrics: Metrics
  readonly sandbox: SandboxSource | undefined
  readonly syncs: SyncTracker
  /** Settings in which existing topics differ from the plan; reported, never altered. */
  readonly differences: readonly TopicDifference[]
  /** Ends everything in the order in which data flows. */
  stop(): Promise<void>
}

/** Ends what was begun, last first; every step is tried. */
class Cleanup {
  readonly #steps: (() => Promise<void> | void)[] = []

  add(step: () => Promise<void> | void): void {
    this.#steps.push(step)
  }

  async run(): Promise<void> {
    const failures: unknown[] = []
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}

/**
 * Opens the data directory and starts ingress, diff processor, projector and API in this process. Without configured sources it
 * starts the sandbox and reads that. Throws what keeps it from starting (CONFIG_INVALID, DATA_DIRECTORY_LOCKED …) with nothing left open.
 */
export async function startApp(config: Config, deps: AppDeps): Promise<App> {
  if (config.mode !== 'embedded') {
    throw new TidemarkError(
      'CONFIG_INVALID',
      'mode: this build runs embedded only; leave "mode" out or set it to embedded',
      { fields: { key: 'mode' } },
    )
  }
  const cleanup = new Cleanup()
  try {
    return await start(config, deps, cleanup)
  } catch (error) {
    await cleanup.run().catch((also: unknown) => deps.logger.error({ err: also }, 'closing after a failed start'))
    throw error
  }
}

async function start(config: Config, deps: AppDeps, cleanup: Cleanup): Promise<App> {
  const { clock, random, logger } = deps
  const { partitions } = config
  // What is wrong in the configuration is told before anything is opened or created.
  const configured = openSources(config.sources, { clock, random })
  cleanup.add(async () => void (await Promise.all(configured.map(({ source }) => source.close()))))
  const lock = takeDirectory(config.data)
  cleanup.add(() => lock.release())
  const metrics = createMetrics()
  const embedded = await openEmbedded({ path: join(config.data, 'log'), clock })
  cleanup.add(() => embedded.close())
  const { log } = embedded
  const plans = topicPlans({
    partitions,
    rawRetentionDays: config.raw_retention_days,
    observedRetentionDays: config.observed_retention_days,
  })
  const differences = await log.ensureTopics(plans)
  const codec = await openCodec(embedded.registry)
  const store = await openPglite({ dataDir: join(config.data, 'postgres') })
  cleanup.add(() => store.close())
  const startedAtMs = clock.now()
  const syncs = await startSyncTracker({ log, codec, partitions, startedAtMs, onError: deps.onFatal })
  cleanup.add(() => syncs.stop())

  const sandbox = config.sources.length > 0 ? undefined : await startSandbox(config, { clock, logger })
  if (sandbox) cleanup.add(() => sandbox.stop())
  const simulated = sandbox ? openSources([sandbox.config], { clock, random }) : []
  cleanup.add(async () => void (await Promise.all(simulated.map(({ source }) => source.close()))))
  const sources = [...configured, ...simulated]

  const projector = createProjector({ log, store, codec, logger, metrics, clock, schema: PROJECTION_SCHEMA })
  const processor = createProcessor(
    { log, codec, clock, random, logger, metrics },
    { partitions: Array.from({ length: partitions }, (_, p) => p), diff: config.diff },
  )
  const ingressState = await embedded.openState('ingress')
  cleanup.add(() => ingressState.close())
  const ingress = createIngress({
    log,
    state: ingressState,
    codec,
    clock,
    random,
    logger,
    metrics,
    sources,
    partitions,
  })

  const app = fastify({
    loggerInstance: logger as FastifyBaseLogger,
    bodyLimit: LIMITS.webhookBytesMax,
    forceCloseConnections: true,
    logController: new LogController({ disableRequestLogging: true }),
  })
  const readiness = { reasons: ['starting'] as readonly string[] }
  const status: StatusProviders = {
    integrations: () => integrationStatuses(ingress, sources),
    services: () => serviceStatuses({ processor, projector, syncs }),
    notReady: () => readiness.reasons,
    syncRuns: (id) => syncs.runs().filter((run) => run.syncId === id),
    queuedSync: (integrationId, type) => syncs.unfinished(integrationId, type === 'FULL' ? 'full' : 'delta'),
  }
  await registerRoutes(app, {
    ingress,
    api: {
      store,
      log,
      codec,
      logger,
      metrics,
      clock,
      newId: randomUUID,
      schema: PROJECTION_SCHEMA,
      status,
      apiKeys: config.api_keys as ApiDeps['apiKeys'],
    },
    config,
    codec,
    embedded,
    store,
  })
  await projector.start()
  cleanup.add(() => projector.stop())
  processor.start()
  cleanup.add(() => processor.stop())
  const url = await listen(app, config)
  cleanup.add(() => app.close())
  sandbox?.sandbox.setWebhookTarget(`${url}/webhooks/${sandbox.config.name}`)
  ingress.done.catch(deps.onFatal)
  await ingress.start()
  cleanup.add(() => ingress.stop())
  const maintenance: Maintenance = startMaintenance({ embedded, clock, logger })
  cleanup.add(() => maintenance.stop())
  readiness.reasons = []
  const stop = (): Promise<void> => {
    readiness.reasons = ['stopping']
    return cleanup.run()
  }
  return {
    url,
    config,
    codec,
    embedded,
    store,
    ingress,
    processor,
    projector,
    metrics,
    sandbox,
    syncs,
    differences,
    stop,
  }
}

function takeDirectory(path: string): DirectoryLock {
  try {
    mkdirSync(path, { recursive: true })
    return lockDirectory(path)
  } catch (error) {
    if (error instanceof TidemarkError) throw error
    throw new TidemarkError(
      'CONFIG_INVALID',
      `data: ${path} cannot be used as data directory: ${(error as Error).message}`,
      { cause: error, fields: { key: 'data' } },
    )
  }
}

interface RouteDeps {
  readonly ingress: Ingress
  readonly api: ApiDeps
  readonly config: Config
  readonly codec: OpenCodec
  readonly embedded: Embedded
  readonly store: SqlStore
}

/** Webhooks and API live in plug-ins of their own: each has its own body parsers and error bodies. */
async function registerRoutes(app: FastifyInstance, { ingress, api, ...verify }: RouteDeps): Promise<void> {
  await app.register(async (scope) => ingress.registerRoutes(scope))
  await app.register(async (scope) => {
    registerApi(scope, api)
    registerVerify(scope, verify)
  })
}

async function listen(app: FastifyInstance, { host, port }: Config): Promise<string> {
  try {
    return await app.listen({ host, port })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    throw new TidemarkError(
      'CONFIG_INVALID',
      `port: ${port} on ${host} is taken by another program; choose one with --port`,
      { cause: error, fields: { key: 'port' } },
    )
  }
}
