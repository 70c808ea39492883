import { COMMANDS_TOPIC, partitionOf } from '@tidemark/model'
import type { FastifyInstance } from 'fastify'
import { requireIntegration, requireWrite, scopeOf } from './context.ts'
import type { ApiDeps } from './deps.ts'
import { inputInvalid, refuseOtherMethods } from './errors.ts'
import { NO_PARAMETERS } from './parameters.ts'

type SyncType = 'FULL' | 'DELTA'

/** How long a command counts as queued before whoever executes it says so itself. */
const PICK_UP_MS = 10_000
const RECENT_MAX = 1000

/** `POST /v1/force-sync`, Kombo's form: asks the integration's source for a sync through `ats.commands`. */
export function registerForceSync(app: FastifyInstance, deps: ApiDeps): void {
  const recent = new Map<string, { readonly id: string; readonly at: number }>()
  const queued = (integrationId: string, type: SyncType): string | null => {
    const last = recent.get(`${type} ${integrationId}`)
    const fresh = last !== undefined && deps.clock.now() - last.at < PICK_UP_MS
    return deps.status.queuedSync(integrationId, type) ?? (fresh ? last.id : null)
  }
  const remember = (integrationId: string, type: SyncType, id: string): void => {
    const oldest = recent.keys().next().value
    if (recent.size >= RECENT_MAX && oldest !== undefined) recent.delete(oldest)
    recent.set(`${type} ${integrationId}`, { id, at: deps.clock.now() })
  }
  app.post('/v1/force-sync', { config: NO_PARAMETERS }, async (request) => {
    const scope = scopeOf(request)
    requireWrite(scope)
    const integrationId = await requireIntegration(deps, request)
    const type = syncType(request.body)
    const running = queued(integrationId, type)
    if (running !== null) return { status: 'success', data: { already_queued: true, sync_id: running, type } }
    const id = deps.newId()
    // Before the append, so that a second request meanwhile joins this one.
    remember(integrationId, type, id)
    try {
      await appendCommand(deps, { id, integrationId, type, actor: scope.name })
    } catch (error) {
      recent.delete(`${type} ${integrationId}`)
      throw error
    }
    return { status: 'success', data: { already_queued: false, sync_id: id, type } }
  })
  refuseOtherMethods(app, '/v1/force-sync', 'POST')
}

function syncType(body: unknown): SyncType {
  if (body === undefined || body === null) return 'FULL'
  const type = typeof body === 'object' && 'type' in body ? body.type : undefined
  if (type === undefined && typeof body === 'object') return 'FULL'
  if (type === 'FULL' || type === 'DELTA') return type
  throw inputInvalid('The body must be {"type": "FULL"} or {"type": "DELTA"}.')
}

interface SyncCommand {
  readonly id: string
  readonly integrationId: string
  readonly type: SyncType
  readonly actor: string | null
}

async function appendCommand(deps: ApiDeps, { id, integrationId, type, actor }: SyncCommand): Promise<void> {
  const at = deps.clock.now()
  const kind = type === 'FULL' ? 'sync_full' : 'sync_delta'
  const topics = await deps.log.listTopics()
  const partitions = topics.find((topic) => topic.name === COMMANDS_TOPIC)?.partitions ?? 1
  const value = deps.codec.encode('Command', { id, integration_id: integrationId, kind, at, actor, payload: null })
  const partition = partitionOf(integrationId, partitions)
  await deps.log.append([{ topic: COMMANDS_TOPIC, partition, key: Buffer.from(integrationId), value, timestampMs: at }])
}
