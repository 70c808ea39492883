/** The services of one process over an open backend: wiring only. */
import { randomUUID } from 'node:crypto'
import {
  type ApiDeps,
  type ApiOptions,
  registerApi,
  registerOperations,
  requireWrite,
  type StatusProviders,
  scopeOf,
} from '@tidemark/api'
import type { Clock, Random } from '@tidemark/base'
import { type OpenCodec, openCodec } from '@tidemark/codec'
import { createProcessor, type Processor } from '@tidemark/diff-processor'
import {
  createIngress,
  createIntegrationView,
  type Ingress,
  type NamedSource,
  type WebhookReceiver,
} from '@tidemark/ingress'
import type { TopicDifference } from '@tidemark/log'
import { createProjector, type Projector } from '@tidemark/projector'
import type { SqlStore } from '@tidemark/store'
import type { Logger, Metrics } from '@tidemark/telemetry'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Config, erasureAfterMs } from '../config.ts'
import { type Backend, PROJECTION_SCHEMA } from './backend.ts'
import type { Cleanup } from './cleanup.ts'
import { newApplication } from './front.ts'
import { startMaintenance } from './maintenance.ts'
import { registerOperationRoutes } from './operationRoutes.ts'
import { remoteProcessorStatus, remoteProjectorStatus } from './remoteStatus.ts'
import { integrationStatuses, processorStatus, syncsStatus } from './statusProviders.ts'
import { type SyncTracker, startSyncTracker } from './syncTracker.ts'

/** What one process can run; all of it by default. */
export const SERVICES = ['ingress', 'diff-processor', 'projector', 'api'] as const
export type ServiceName = (typeof SERVICES)[number]

export interface ServicesInput {
  readonly config: Config
  readonly services: ReadonlySet<ServiceName>
  readonly backend: Backend
  readonly sources: readonly NamedSource[]
  readonly receiver: WebhookReceiver | undefined
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  /** Why the process is not ready, beyond what its services say. */
  readonly notReady: () => readonly string[]
  /** Told when a part can no longer go on; the process should end. */
  readonly onFatal: (error: unknown) => void
}

export interface RunningServices {
  readonly codec: OpenCodec
  readonly ingress: Ingress | undefined
  readonly processor: Processor | undefined
  readonly projector: Projector | undefined
  readonly syncs: SyncTracker | undefined
  /** Settings in which existing topics differ from the plan; reported, never altered. */
  readonly differences: readonly TopicDifference[]
  /** Every route of the process. */
  readonly application: FastifyInstance
}

/** Starts the services in the order in which data flows backwards; `cleanup` ends them, whatever happened. */
export async function startServices(input: ServicesInput, cleanup: Cleanup): Promise<RunningServices> {
  const { services, backend, metrics, logger, clock, random, config } = input
  const differences = await backend.ensureTopics()
  const codec = await openCodec(backend.registry)
  const base = { log: backend.log, codec, clock, random, logger, metrics }
  const needsStore = services.has('projector') || services.has('api')
  const store = needsStore ? await backend.openStore() : undefined
  const projector =
    services.has('projector') && store
      ? startProjector({ ...base, store, options: { erasureAfterMs: erasureAfterMs(config) } })
      : undefined
  if (projector) {
    cleanup.add(() => projector.stop())
    await projector.start()
  }
  const processor = services.has('diff-processor')
    ? createProcessor({ ...base, schemas: backend.registry }, { ...backend.processor, diff: config.diff })
    : undefined
  processor?.start()
  cleanup.add(() => processor?.stop())
  const ingress = await openIngress(input, codec, cleanup)
  const syncs = services.has('api') ? await startSyncTracker({ ...base, ...trackerOf(input) }) : undefined
  cleanup.add(() => syncs?.stop())
  const local = { ingress, processor, projector, syncs }
  const status = await statusOf(input, codec, store, local, cleanup)
  const application = newApplication(logger)
  await application.register(async (scope) => input.receiver?.registerRoutes(scope))
  await application.register(async (scope) => registerReads(scope, input, { codec, store, status }))
  await startIngress(input, ingress, cleanup)
  if (backend.embedded) {
    const maintenance = startMaintenance({ embedded: backend.embedded, clock, logger })
    cleanup.add(() => maintenance.stop())
  }
  return { ...local, codec, differences, application }
}

const startProjector = (deps: Omit<Parameters<typeof createProjector>[0], 'schema'>): Projector =>
  createProjector({ ...deps, schema: PROJECTION_SCHEMA })

const trackerOf = ({ config, clock }: ServicesInput) => ({ partitions: config.partitions, startedAtMs: clock.now() })

async function openIngress(input: ServicesInput, codec: OpenCodec, cleanup: Cleanup): Promise<Ingress | undefined> {
  const { services, backend, receiver, config, sources, clock, random, logger, metrics } = input
  if (!services.has('ingress') || !receiver) return undefined
  const state = await backend.openState('ingress')
  cleanup.add(() => state.close())
  const { log } = backend
  const { partitions } = config
  const guard = { share: config.sweeps.hold_share, recordsMin: config.sweeps.hold_min }
  return createIngress({ log, state, codec, clock, random, logger, metrics, sources, partitions, receiver, guard })
}

async function startIngress(input: ServicesInput, ingress: Ingress | undefined, cleanup: Cleanup): Promise<void> {
  if (!ingress) return
  ingress.done.catch(input.onFatal)
  cleanup.add(() => ingress.stop())
  await ingress.start()
}

interface Local {
  readonly ingress: Ingress | undefined
  readonly processor: Processor | undefined
  readonly projector: Projector | undefined
  readonly syncs: SyncTracker | undefined
}

const REMOTE_EVERY_MS = 1000
const STATUS_EVERY_MS = 250

/** What runs here tells about itself; what runs elsewhere is told by the topics and tables. */
async function statusOf(
  input: ServicesInput,
  codec: OpenCodec,
  store: SqlStore | undefined,
  { ingress, processor, projector, syncs }: Local,
  cleanup: Cleanup,
): Promise<StatusProviders> {
  const { backend, sources, config, clock, services } = input
  const { log } = backend
  const view = ingress || !services.has('api') ? undefined : await openView(input, codec, cleanup)
  const remote = memoized(clock, REMOTE_EVERY_MS, async () => ({
    processor: processor ? undefined : await remoteProcessorStatus(log, config.partitions),
    projector: projector || !store ? undefined : await remoteProjectorStatus(log, store),
  }))
  // Every read asks for it.
  const integrations = memoized(clock, STATUS_EVERY_MS, () =>
    integrationStatuses(ingress?.status() ?? view?.list() ?? [], sources, syncs?.runs() ?? []),
  )
  return {
    integrations,
    async services() {
      const elsewhere = await remote()
      return {
        'diff-processor': processor ? processorStatus(processor.status()) : (elsewhere.processor ?? {}),
        projector: projector ? { ...projector.status() } : (elsewhere.projector ?? {}),
        ...(input.receiver ? { ingress: { ...input.receiver.status() } } : {}),
        ...(syncs ? { syncs: syncsStatus(syncs) } : {}),
      }
    },
    notReady: () => [...input.notReady(), ...failedParts({ processor, projector })],
    heldSweeps: () => ingress?.held() ?? view?.held() ?? [],
    syncRuns: (id) => syncs?.runs().filter((run) => run.syncId === id) ?? [],
    queuedSync: (integrationId, type) => syncs?.unfinished(integrationId, type === 'FULL' ? 'full' : 'delta') ?? null,
  }
}

/** What an operator has to mend. */
function failedParts({ processor, projector }: Pick<Local, 'processor' | 'projector'>): string[] {
  const failed = (processor?.status() ?? []).filter(({ state }) => state === 'failed')
  const reasons = failed.map(({ partition, error }) => `diff-processor, partition ${partition}: ${error}`)
  const projection = projector?.status()
  if (projection?.state === 'failed') reasons.push(`projector: ${projection.error?.message ?? 'failed'}`)
  return reasons
}

async function openView(input: ServicesInput, codec: OpenCodec, cleanup: Cleanup) {
  const { backend, logger, clock, config, sources } = input
  const state = await backend.openState('integrations')
  cleanup.add(() => state.close())
  const { partitions } = config
  const view = createIntegrationView({ log: backend.log, state, codec, logger, sources, partitions })
  await view.refresh()
  const stopping = new AbortController()
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await clock.sleep(REMOTE_EVERY_MS, stopping.signal)
      if (stopping.signal.aborted) return
      await view
        .refresh()
        .catch((error: unknown) => logger.warn({ err: error }, 'ats.syncs cannot be read; tried again'))
    }
  })()
  cleanup.add(() => {
    stopping.abort()
    return loop
  })
  return view
}

/** At most one call in a time, shared by all who ask meanwhile. */
function memoized<T>(clock: Clock, ms: number, ask: () => T): () => T {
  let last: { readonly at: number; readonly answer: T } | undefined
  return () => {
    if (last === undefined || clock.now() - last.at >= ms) last = { at: clock.now(), answer: ask() }
    return last.answer
  }
}

interface Reads {
  readonly codec: OpenCodec
  readonly store: SqlStore | undefined
  readonly status: StatusProviders
}

/** The whole API where it runs; else only what tells how the process is. */
function registerReads(scope: FastifyInstance, input: ServicesInput, { codec, store, status }: Reads): void {
  const { config, backend, services, logger, metrics, clock } = input
  const apiKeys = apiKeysOf(config)
  const sources = liveSourcesOf(input.sources)
  if (services.has('api') && store) {
    const options = apiOptionsOf(config)
    const deps = { store, log: backend.log, codec, logger, metrics, clock, newId: randomUUID, status, apiKeys, options }
    registerApi(scope, { ...deps, sources, schema: PROJECTION_SCHEMA }, (api) =>
      registerOperationRoutes(api, { config, codec, log: backend.log, store, clock, logger, metrics }, (request) =>
        requireWrite(scopeOf(request as FastifyRequest)),
      ),
    )
  } else {
    registerOperations(scope, { notReady: () => status.notReady(), metrics, apiKeys })
  }
}

const liveSourcesOf = (sources: readonly NamedSource[]): NonNullable<ApiDeps['sources']> =>
  new Map(
    sources.map(({ name, connector, source: { passthrough, attachments } }) => [
      name,
      { connector: connector.name, passthrough, attachments },
    ]),
  )

export const apiKeysOf = (config: Config): ApiDeps['apiKeys'] => config.api_keys as ApiDeps['apiKeys']

function apiOptionsOf({ api: { rate_limit: limit }, public_url: publicUrl }: Config): ApiOptions {
  return {
    ...(publicUrl === undefined ? {} : { publicUrl }),
    ...(limit === undefined
      ? {}
      : { rateLimit: limit && { requests: limit.requests, windowMs: limit.window_seconds * 1000 } }),
  }
}
