import { isModelName, type ModelName } from '@tidemark/model'
import { qualified } from '@tidemark/projection'
import type { FastifyRequest } from 'fastify'
import { allowsIntegration, allowsModel, type Scope } from './auth.ts'
import type { ApiDeps, IntegrationStatus } from './deps.ts'
import { ApiError, inputInvalid } from './errors.ts'
import { type Query, single } from './params.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the authorization hook before every handler. */
    scope: Scope | null
  }
}

/** The scope of an authorized request. */
export function scopeOf(request: FastifyRequest): Scope {
  if (!request.scope) throw new RangeError('the route was registered outside of the authorized part')
  return request.scope
}

/** Throws when the key may only read. */
export function requireWrite(scope: Scope): void {
  if (scope.write) return
  const message = `The API key "${scope.name}" may only read. Set write: true for it in the configuration.`
  throw new ApiError(403, 'PLATFORM.AUTHENTICATION_INVALID', message)
}

/** Throws when the key is restricted to some integrations: for what tells of all of them. */
export function requireEveryIntegration(scope: Scope): void {
  if (scope.integrations !== undefined) throw restricted(scope, 'integrations')
}

/** Throws when the key is restricted to some models: for what may show any of them. */
export function requireEveryModel(scope: Scope): void {
  if (scope.models !== undefined) throw restricted(scope, 'models')
}

/** Throws when the key is restricted in any way: for what tells of every record, or does something to all of them. */
export function requireUnrestricted(scope: Scope): void {
  requireEveryIntegration(scope)
  requireEveryModel(scope)
}

function restricted(scope: Scope, to: 'integrations' | 'models'): ApiError {
  const message = `The API key "${scope.name}" is restricted to some ${to}, and this concerns all of them. Use a key without the list "${to}".`
  return new ApiError(403, 'PLATFORM.AUTHENTICATION_INVALID', message)
}

export const queryOf = (request: FastifyRequest): Query => request.query as Query

/** `X-Integration-Id`, when it is sent. */
export function integrationHeader(request: FastifyRequest): string | undefined {
  const value = request.headers['x-integration-id']
  if (Array.isArray(value)) throw inputInvalid('X-Integration-Id is given several times; give it once.')
  return value === '' ? undefined : value
}

/** An integration that the key may see. */
export interface VisibleIntegration {
  readonly id: string
  /** undefined: no source tells of it any more, only its records are left. */
  readonly status: IntegrationStatus | undefined
}

/** The integration of a request that must name one; throws when it is missing, unknown or out of scope. */
export async function requireIntegration(deps: ApiDeps, request: FastifyRequest): Promise<string> {
  return (await requestedIntegration(deps, request)).id
}

/** A hook and the handler behind it ask for the same one. */
const requested = new WeakMap<FastifyRequest, Promise<VisibleIntegration>>()

/** As {@link requireIntegration}, with what is known of it. Looked up once per request. */
export function requestedIntegration(deps: ApiDeps, request: FastifyRequest): Promise<VisibleIntegration> {
  const before = requested.get(request)
  if (before) return before
  const integration = lookUp(deps, request)
  requested.set(request, integration)
  return integration
}

async function lookUp(deps: ApiDeps, request: FastifyRequest): Promise<VisibleIntegration> {
  const id = integrationHeader(request)
  if (id === undefined) {
    throw inputInvalid('The header X-Integration-Id is missing. /v1/status lists the integrations and their ids.')
  }
  return visibleIntegration(deps, scopeOf(request), id)
}

/** The integration that the parameter `integration_id` or the header names; throws as {@link requireIntegration}. */
export async function namedIntegration(deps: ApiDeps, request: FastifyRequest): Promise<VisibleIntegration> {
  const [parameter, header] = [single(queryOf(request), 'integration_id'), integrationHeader(request)]
  if (parameter !== undefined && header !== undefined && parameter !== header) {
    throw inputInvalid(`integration_id is ${parameter}, but X-Integration-Id is ${header}; give one of them.`)
  }
  const id = parameter ?? header
  if (id === undefined) {
    throw inputInvalid(
      'Give integration_id, or the header X-Integration-Id. /v1/status lists the integrations and their ids.',
    )
  }
  return visibleIntegration(deps, scopeOf(request), id)
}

/** An integration by its id; throws the same 404 whether it is unknown or out of scope. */
export async function visibleIntegration(deps: ApiDeps, scope: Scope, id: string): Promise<VisibleIntegration> {
  if (!allowsIntegration(scope, id)) throw integrationNotFound(id)
  const status = deps.status.integrations().find((integration) => integration.integrationId === id)
  if (status === undefined && !(await hasRecords(deps, id))) throw integrationNotFound(id)
  return { id, status }
}

export function integrationNotFound(id: string): ApiError {
  const message = `There is no integration "${id}" for this API key. /v1/status lists the integrations and their ids.`
  return new ApiError(404, 'PLATFORM.INTEGRATION_NOT_FOUND', message)
}

async function hasRecords({ store, schema }: ApiDeps, id: string): Promise<boolean> {
  const counts = qualified(schema, 'record_counts')
  const rows = await store.query(`select 1 as known from ${counts} where integration_id = $1 limit 1`, [id])
  return rows.length > 0
}

/** Throws when the key may not read the model. */
export function requireModel(scope: Scope, model: ModelName): void {
  if (allowsModel(scope, model)) return
  const message = `The API key "${scope.name}" may not read ${model}; its models are set in the configuration.`
  throw new ApiError(403, 'INTEGRATION.MODEL_DISABLED', message)
}

/** The model of a path or parameter. */
export function parseModel(name: string): ModelName {
  if (isModelName(name)) return name
  throw inputInvalid(`"${name}" is not a model; models are named like jobs, candidates or application-stages.`)
}
