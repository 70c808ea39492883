import type { Change } from '@tidemark/codec'
import type { EventLog, TailStart } from '@tidemark/log'
import { changesTopic, MODEL_NAMES, type ModelName } from '@tidemark/model'
import { effectiveChanges, fieldPointer, type Payload, pointerTokens, TABLES, touches } from '@tidemark/projection'
import { allowsIntegration, allowsModel, type Scope } from '../auth.ts'
import { integrationNotFound, parseModel, requireModel } from '../context.ts'
import { inputInvalid } from '../errors.ts'
import { choice, flag, list, type Query, single } from '../params.ts'
import { createPositionCodec, type FeedPartition, invalid, type PositionCodec } from './position.ts'

export const FEED_PARAMETERS = [
  'model',
  'integration_id',
  'field',
  'from',
  'payload',
  'display',
  'last_event_id',
] as const

/** What a feed client asked for. */
export interface FeedRequest {
  readonly models: readonly ModelName[]
  readonly from: 'earliest' | 'latest'
  /** Position to resume at; stands above `from`. */
  readonly position: string | undefined
  readonly payload: Payload
  readonly display: boolean
  /** True for models that the client may see, also by the names of their records. */
  readonly allows: (model: ModelName) => boolean
  /** True for changes that the client wants and may see. */
  readonly wants: (model: ModelName, change: Change) => boolean
}

/** Reads a request's parameters; throws 400, 403 or 404. */
export function parseFeedRequest(query: Query, lastEventId: string | undefined, scope: Scope): FeedRequest {
  const models = list(query, 'model')?.map(parseModel)
  for (const model of models ?? []) requireModel(scope, model)
  const selected = MODEL_NAMES.filter((model) => (models ? models.includes(model) : allowsModel(scope, model)))
  const integrations = list(query, 'integration_id')
  for (const id of integrations ?? []) if (!allowsIntegration(scope, id)) throw integrationNotFound(id)
  const pointers = list(query, 'field')?.map((field) => checkedField(selected, field))
  return {
    models: selected,
    from: choice(query, 'from', ['earliest', 'latest'], 'latest'),
    position: lastEventId || single(query, 'last_event_id') || undefined,
    payload: choice(query, 'payload', ['full', 'light'], 'full'),
    display: flag(query, 'display'),
    allows: (model) => allowsModel(scope, model),
    wants: filterOf(integrations ? new Set(integrations) : scope.integrations, pointers),
  }
}

function filterOf(integrations: ReadonlySet<string> | undefined, pointers: readonly string[] | undefined) {
  return (model: ModelName, change: Change): boolean => {
    if (integrations && !integrations.has(change.integration_id)) return false
    if (!pointers) return true
    // A purge lists no changes, but takes every field away.
    if (change.after === null) return true
    return effectiveChanges(model, change).some(({ path }) => pointers.some((pointer) => touches(path, pointer)))
  }
}

function checkedField(models: readonly ModelName[], field: string): string {
  const pointer = fieldPointer(field)
  const name = pointerTokens(pointer)[0] ?? ''
  if (models.some((model) => TABLES[model].columns.some((column) => column.name === name))) return pointer
  throw inputInvalid(
    `field: no selected model has a field "${name}". Give names like status, or pointers like /location/city.`,
  )
}

/** Where a client's reading begins. */
export interface FeedStart {
  readonly starts: readonly TailStart[]
  /** Model of each start. */
  readonly models: readonly ModelName[]
  readonly codec: PositionCodec
}

/** Resolves a request to offsets. Throws 400 for a position that the log cannot resume at. */
export async function resolveStart(log: EventLog, request: FeedRequest): Promise<FeedStart> {
  const topics = new Map(request.models.map((model) => [changesTopic(model), model]))
  const partitions: FeedPartition[] = []
  const models: ModelName[] = []
  for (const { name, partitions: count } of await log.listTopics()) {
    const model = topics.get(name)
    if (model === undefined) continue
    for (let partition = 0; partition < count; partition++) {
      partitions.push({ topic: name, partition })
      models.push(model)
    }
  }
  const codec = createPositionCodec(partitions)
  const offsets = request.position === undefined ? undefined : codec.decode(request.position)
  const starts = await Promise.all(
    partitions.map(async ({ topic, partition }, i) => {
      const { start, end } = await log.bounds(topic, partition)
      const offset = offsets?.[i] ?? (request.from === 'earliest' ? start : end)
      if (offset < start) throw invalid(`${topic} no longer holds what came after it`)
      if (offset > end) throw invalid(`it lies behind the end of ${topic}; the log was replaced`)
      return { topic, partition, offset }
    }),
  )
  return { starts, models, codec }
}
