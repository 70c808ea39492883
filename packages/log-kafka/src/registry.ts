import { createRequire } from 'node:module'
import { TidemarkError } from '@tidemark/base'
import type { CompatibilityMode, SchemaRegistry } from '@tidemark/registry'
import { SubjectModes } from './subjectModes.ts'

export interface RegistryOptions {
  /** Base URL of a Confluent-compatible API, with its path if it has one. */
  readonly url: string
  readonly clientId: string
  readonly auth?: { readonly username: string; readonly password: string }
  /** Longest wait for one answer. Default 10 s. */
  readonly timeoutMs?: number
}

/** A registry that can be asked to keep a schema under an id that another registry gave it. */
export interface RemoteRegistry extends SchemaRegistry {
  /**
   * Registers a version under the id it has elsewhere, and returns the id that it got. Servers with Confluent's IMPORT mode give the id
   * asked for, as far as it is free; others give the next one. Compatibility is not to be relied on: it was checked elsewhere.
   */
  registerAs(subject: string, version: ForeignVersion): Promise<number>
}

/** A version as another registry has it. */
export interface ForeignVersion {
  readonly version: number
  readonly id: number
  readonly schema: string
}

interface Answer {
  data<T>(): T
}

type Call = (parameters?: object) => Promise<Answer>

/** The HTTP client inside @kafkajs/confluent-schema-registry; its encoders and decoders are not used. */
interface Client {
  readonly Schema: { readonly find: Call }
  readonly Subject: {
    readonly all: Call
    readonly latestVersion: Call
    readonly version: Call
    readonly config: Call
    readonly updateConfig: Call
    readonly register: Call
  }
}

const require = createRequire(import.meta.url)
const newClient = (
  require('@kafkajs/confluent-schema-registry/dist/api/index.js') as { default(options: object): Client }
).default

const DEFAULT_MODE: CompatibilityMode = 'FULL_TRANSITIVE'
const MODES: ReadonlySet<string> = new Set(['NONE', 'BACKWARD', 'FULL', 'FULL_TRANSITIVE'])
const NOT_FOUND = 404
const CONFLICT = 409
const UNPROCESSABLE = 422
const BAD_REQUEST = 400
const REFUSED = new Set([401, 403])

interface Version {
  readonly version: number
  readonly id: number
  readonly schema: string
}

/**
 * A Confluent-compatible schema registry by URL. Throws REGISTRY_UNAVAILABLE when it cannot be reached, CONFIG_INVALID when it refuses the
 * credentials; otherwise as the port says.
 */
export function openRegistry(options: RegistryOptions): RemoteRegistry {
  return new HttpRegistry(options)
}

class HttpRegistry implements RemoteRegistry {
  readonly #modes: SubjectModes
  readonly #url: string
  readonly #timeoutMs: number
  readonly #client: Client
  /** Subjects that are known to have a mode of their own. */
  readonly #configured = new Set<string>()
  /** Ids never change their meaning. */
  readonly #schemas = new Map<number, string>()
  /** Registrations of this process follow each other, so that equal ones do not meet at the server. */
  #last: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor({ url, clientId, auth, timeoutMs = 10_000 }: RegistryOptions) {
    this.#url = url
    this.#timeoutMs = timeoutMs
    this.#modes = new SubjectModes({ url, timeoutMs, ...(auth ? { auth } : {}) })
    this.#client = newClient({
      host: url,
      clientId,
      // Only reads are tried again, and only when the server failed.
      retry: { retries: 2, initialRetryTimeInSecs: 0.1, maxRetryTimeInSecs: 1 },
      ...(auth ? { auth } : {}),
    })
  }

  register(subject: string, schema: string): Promise<number> {
    const registered = this.#last.then(() => this.#register(subject, schema))
    this.#last = registered.catch(() => undefined)
    return registered
  }

  registerAs(subject: string, version: ForeignVersion): Promise<number> {
    const registered = this.#last.then(() => this.#registerAs(subject, version))
    this.#last = registered.catch(() => undefined)
    return registered
  }

  async #registerAs(subject: string, { version, id, schema }: ForeignVersion): Promise<number> {
    await this.#ensureMode(subject)
    const isImporting = await this.#modes.beginImport(subject)
    try {
      return await this.#register(subject, schema, isImporting ? { version, id } : {})
    } finally {
      if (isImporting) await this.#modes.endImport(subject)
    }
  }

  async #register(subject: string, schema: string, wanted: { version?: number; id?: number } = {}): Promise<number> {
    const text = minified(subject, schema)
    await this.#ensureMode(subject)
    const what = `Registering a schema under ${subject}`
    const { id } = await this.#callTwice<{ id: number }>(what, this.#client.Subject.register, {
      subject,
      body: { schema: text, ...wanted },
    })
    return id
  }

  async schemaById(id: number): Promise<string> {
    const known = this.#schemas.get(id)
    if (known !== undefined) return known
    const found = await this.#find<{ schema: string }>(`Reading schema ${id}`, this.#client.Schema.find, { id })
    if (!found) {
      throw new TidemarkError('SCHEMA_UNKNOWN', `The schema registry at ${this.#url} has no schema ${id}.`, {
        fields: { id },
      })
    }
    this.#schemas.set(id, found.schema)
    return found.schema
  }

  async versions(subject: string): Promise<Version[]> {
    const what = `Reading the versions of ${subject}`
    const { latestVersion, version } = this.#client.Subject
    const latest = await this.#find<Version>(what, latestVersion, { subject })
    if (!latest) return []
    const versions: Version[] = []
    for (let number = 1; number < latest.version; number++) {
      // A version that was deleted leaves a gap.
      const found = await this.#find<Version>(what, version, { subject, version: number })
      if (found) versions.push(found)
    }
    return [...versions, latest].map(({ version, id, schema }) => ({ version, id, schema }))
  }

  async subjects(): Promise<string[]> {
    return (await this.#call<string[]>('Listing subjects', this.#client.Subject.all)).sort()
  }

  async setCompatibility(subject: string, mode: CompatibilityMode): Promise<void> {
    if (!MODES.has(mode)) {
      throw new TidemarkError(
        'CONFIG_INVALID',
        `${mode} is not a compatibility mode; take one of ${[...MODES].join(', ')}.`,
      )
    }
    const body = { compatibility: mode }
    await this.#callTwice(`Setting the mode of ${subject}`, this.#client.Subject.updateConfig, { subject, body })
    this.#configured.add(subject)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#last
  }

  /** A subject without a mode of its own gets the strict one, before its first schema: the server's global default may be anything. */
  async #ensureMode(subject: string): Promise<void> {
    if (this.#configured.has(subject)) return
    const found = await this.#find(`Reading the mode of ${subject}`, this.#client.Subject.config, { subject })
    if (!found) await this.setCompatibility(subject, DEFAULT_MODE)
    this.#configured.add(subject)
  }

  async #find<T>(what: string, call: Call, parameters: object): Promise<T | undefined> {
    try {
      return await this.#call<T>(what, call, parameters)
    } catch (error) {
      if (error instanceof TidemarkError && error.fields['status'] === NOT_FOUND) return undefined
      throw error
    }
  }

  /** Two processes that say the same at the same moment: Apicurio refuses one of them with 409, which does not last. */
  async #callTwice<T>(what: string, call: Call, parameters: object): Promise<T> {
    try {
      return await this.#call<T>(what, call, parameters)
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.fields['status'] !== CONFLICT) throw error
      return await this.#call<T>(what, call, parameters)
    }
  }

  async #call<T>(what: string, call: Call, parameters: object = {}): Promise<T> {
    if (this.#closed) throw new TidemarkError('LOG_CLOSED', `The schema registry client of ${this.#url} is closed.`)
    try {
      return (await call({ ...parameters, timeout: this.#timeoutMs })).data<T>()
    } catch (error) {
      throw this.#translate(what, error)
    }
  }

  #translate(what: string, cause: unknown): TidemarkError {
    const status = statusOf(cause)
    const why = cause instanceof Error ? cause.message : String(cause)
    const details = { cause, fields: { status, url: this.#url } }
    if (status === CONFLICT || status === UNPROCESSABLE || status === BAD_REQUEST) {
      return new TidemarkError('SCHEMA_INCOMPATIBLE', `${what}: the schema registry refuses it: ${why}.`, details)
    }
    if (status === NOT_FOUND)
      return new TidemarkError('SCHEMA_UNKNOWN', `${what}: ${this.#url} has no such thing.`, details)
    if (status !== null && REFUSED.has(status)) {
      return new TidemarkError('CONFIG_INVALID', `${what}: ${this.#url} refuses the credentials (${status}).`, details)
    }
    return new TidemarkError(
      'REGISTRY_UNAVAILABLE',
      `${what}: the schema registry at ${this.#url} did not do it (${why}). Check that it runs and can be reached; it may be tried again.`,
      details,
    )
  }
}

/**
 * null when no server answered: the client reports that as status 400, but without the JSON that a registry sends with it, so that its
 * message is made of the status instead.
 */
function statusOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return null
  return error.status === BAD_REQUEST && error.message.includes('Error, status 400') ? null : error.status
}

/** White space does not make another schema; some registries think so. */
function minified(subject: string, schema: string): string {
  try {
    return JSON.stringify(JSON.parse(schema))
  } catch (cause) {
    throw new TidemarkError('SCHEMA_INCOMPATIBLE', `The schema for ${subject} is not valid Avro: it is not JSON.`, {
      cause,
    })
  }
}
