import { createHash, timingSafeEqual } from 'node:crypto'
import type { ModelName } from '@tidemark/model'
import type { FastifyRequest } from 'fastify'
import { ApiError } from './errors.ts'

/** A configured key, of which only the hash is known. Without a list it may read every integration, or every model. */
export interface ApiKey {
  readonly name: string
  /** As {@link hashApiKey} gives it. */
  readonly hash: string
  readonly integrations?: readonly string[]
  readonly models?: readonly ModelName[]
  /** May ask for syncs and actions. */
  readonly write?: boolean
}

/** What a request may see and do. One object per key, so that it can stand for the key. */
export interface Scope {
  /** Name of the key; null for the machine's own user, when no keys are configured. */
  readonly name: string | null
  /** undefined: all. */
  readonly integrations: ReadonlySet<string> | undefined
  readonly models: ReadonlySet<string> | undefined
  readonly write: boolean
}

export const allowsIntegration = (scope: Scope, id: string): boolean => scope.integrations?.has(id) ?? true
export const allowsModel = (scope: Scope, model: ModelName): boolean => scope.models?.has(model) ?? true

const LOCAL: Scope = { name: null, integrations: undefined, models: undefined, write: true }
const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * SHA-256 of a key in 64 lower-case hex digits. Neither slow nor salted: a key is random and long, not a password that somebody chose,
 * and every request hashes one.
 */
export const hashApiKey = (key: string): string => digest(key).toString('hex')

/**
 * Decides what a request may do. Keys are known by their hashes only and compared in constant time. Without keys only programs on this
 * machine are served: not through a proxy, and not under a foreign host name (which a web page could point here). Throws a RangeError for
 * a hash that is none.
 */
export function createAuthorizer(keys: readonly ApiKey[]): (request: FastifyRequest) => Scope {
  const known = keys.map((key) => ({ hash: hashBytes(key), scope: scopeOf(key) }))
  if (known.length === 0) return authorizeLocal
  return (request) => {
    const match = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')
    if (!match?.[1]) throw unauthenticated('Send an API key: Authorization: Bearer <key>.')
    const hash = digest(match[1])
    let found: Scope | undefined
    for (const { hash: candidate, scope } of known) if (timingSafeEqual(candidate, hash)) found = scope
    if (!found) throw unauthenticated('The API key is not known. Keys are set under api_keys in the configuration.')
    return found
  }
}

function hashBytes({ name, hash }: ApiKey): Buffer {
  if (/^[0-9a-f]{64}$/.test(hash)) return Buffer.from(hash, 'hex')
  throw new RangeError(`the API key "${name}" has no SHA-256 hash`)
}

function scopeOf({ name, integrations, models, write }: ApiKey): Scope {
  return {
    name,
    integrations: integrations ? new Set(integrations) : undefined,
    models: models ? new Set<string>(models) : undefined,
    write: write ?? false,
  }
}

function unauthenticated(message: string): ApiError {
  return new ApiError(401, 'PLATFORM.AUTHENTICATION_INVALID', message)
}

function authorizeLocal(request: FastifyRequest): Scope {
  const { headers } = request
  const forwarded = headers['x-forwarded-for'] !== undefined || headers['forwarded'] !== undefined
  if (isLoopback(request.raw.socket.remoteAddress ?? '') && !forwarded && isLocalHost(headers.host)) return LOCAL
  throw unauthenticated(
    'No API keys are configured, so only this machine is served, directly and as localhost. Set api_keys in the configuration.',
  )
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address)
}

function isLocalHost(host: string | undefined): boolean {
  if (host === undefined) return true
  const name = host.replace(/:\d*$/, '').toLowerCase()
  return name === 'localhost' || name.endsWith('.localhost') || name === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(name)
}
