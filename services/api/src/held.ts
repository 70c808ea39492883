import { COMMANDS_TOPIC, partitionOf } from '@tidemark/model'
import { isoTime } from '@tidemark/projection'
import type { FastifyInstance } from 'fastify'
import { allowsIntegration, allowsModel, type Scope } from './auth.ts'
import { requireWrite, scopeOf } from './context.ts'
import type { ApiDeps, HeldSweep } from './deps.ts'
import { ApiError, inputInvalid, refuseOtherMethods } from './errors.ts'
import { NO_PARAMETERS } from './parameters.ts'

const ROUTE = '/v1/syncs/held'

/**
 * `GET /v1/syncs/held`: mass deletions that wait for a decision. `POST` with `{integration_id, model, sync_id, decision}` decides one:
 * `confirm` deletes what the complete run did not have, `discard` drops it. Deciding is asked for through `ats.commands`.
 */
export function registerHeld(app: FastifyInstance, deps: ApiDeps): void {
  app.get(ROUTE, { config: NO_PARAMETERS }, async (request) => ({
    status: 'success',
    data: { results: visible(deps, scopeOf(request)).map(body) },
  }))
  app.post(ROUTE, { config: NO_PARAMETERS }, async (request) => {
    const scope = scopeOf(request)
    requireWrite(scope)
    const { decision, ...wanted } = readBody(request.body)
    const held = visible(deps, scope).find(
      ({ integrationId, model, syncId }) =>
        integrationId === wanted.integration_id && model === wanted.model && syncId === wanted.sync_id,
    )
    if (!held) {
      const message = `No deletion of ${wanted.model} of ${wanted.integration_id} by run ${wanted.sync_id} is held; GET ${ROUTE} lists those that are.`
      throw new ApiError(404, 'TIDEMARK.SYNC_NOT_FOUND', message)
    }
    const id = await appendDecision(deps, held, decision, scope.name)
    return { status: 'success', data: { command_id: id, decision, ...body(held) } }
  })
  refuseOtherMethods(app, ROUTE, 'GET', 'POST')
}

const visible = ({ status }: ApiDeps, scope: Scope): HeldSweep[] =>
  (status.heldSweeps?.() ?? []).filter(
    ({ integrationId, model }) => allowsIntegration(scope, integrationId) && allowsModel(scope, model as never),
  )

const body = ({ integrationId, source, model, syncId, atMs, suspects, records }: HeldSweep): object => ({
  ...{ integration_id: integrationId, source, model, sync_id: syncId, held_at: isoTime(atMs), suspects, records },
})

interface Decision {
  readonly integration_id: string
  readonly model: string
  readonly sync_id: string
  readonly decision: 'confirm' | 'discard'
}

function readBody(value: unknown): Decision {
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>
  for (const name of ['integration_id', 'model', 'sync_id'])
    if (typeof fields[name] !== 'string')
      throw inputInvalid(`The body must have a text ${name}; GET ${ROUTE} shows it.`)
  const { decision } = fields
  if (decision !== 'confirm' && decision !== 'discard')
    throw inputInvalid('The body must have a decision: "confirm" or "discard".')
  return fields as unknown as Decision
}

async function appendDecision(
  { log, codec, clock, newId }: ApiDeps,
  { integrationId, model, syncId }: HeldSweep,
  decision: Decision['decision'],
  actor: string | null,
): Promise<string> {
  const id = newId()
  const at = clock.now()
  const topics = await log.listTopics()
  const partitions = topics.find((topic) => topic.name === COMMANDS_TOPIC)?.partitions ?? 1
  const payload = JSON.stringify({ model, sync_id: syncId })
  const value = codec.encode('Command', {
    id,
    integration_id: integrationId,
    kind: `held_${decision}`,
    at,
    actor,
    payload,
  })
  const partition = partitionOf(integrationId, partitions)
  await log.append([{ topic: COMMANDS_TOPIC, partition, key: Buffer.from(integrationId), value, timestampMs: at }])
  return id
}
