import { TidemarkError } from '@tidemark/base'

export interface SubjectModesOptions {
  readonly url: string
  readonly auth?: { readonly username: string; readonly password: string }
  readonly timeoutMs: number
}

const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json'
/** The server has no modes, or does not let this user change them: it gives ids as it pleases. */
const WITHOUT_MODES = new Set([401, 403, 404, 405, 409, 422, 501])

/**
 * Confluent's mode of a subject (https://docs.confluent.io/platform/current/schema-registry/develop/api.html#mode), which the client library does not know. In IMPORT
 * mode a version is registered under the id and number that the request names. Apicurio 3.3.2 accepts the mode and ignores the id.
 */
export class SubjectModes {
  readonly #options: SubjectModesOptions

  constructor(options: SubjectModesOptions) {
    this.#options = options
  }

  /** False when the server has no such mode. `force` also takes subjects that have versions, as an interrupted import leaves them. */
  beginImport(subject: string): Promise<boolean> {
    return this.#put(subject, 'IMPORT', '?force=true')
  }

  async endImport(subject: string): Promise<void> {
    if (!(await this.#put(subject, 'READWRITE', ''))) throw this.#failure(subject, 'it stays in mode IMPORT')
  }

  async #put(subject: string, mode: string, query: string): Promise<boolean> {
    const { url, auth, timeoutMs } = this.#options
    const token = auth && Buffer.from(`${auth.username}:${auth.password}`).toString('base64')
    const address = `${url.replace(/\/$/, '')}/mode/${encodeURIComponent(subject)}${query}`
    let status: number
    try {
      const answer = await fetch(address, {
        method: 'PUT',
        headers: { 'content-type': CONTENT_TYPE, ...(token ? { authorization: `Basic ${token}` } : {}) },
        body: JSON.stringify({ mode }),
        signal: AbortSignal.timeout(timeoutMs),
      })
      status = answer.status
      await answer.arrayBuffer()
    } catch (cause) {
      throw this.#failure(subject, 'no answer', cause)
    }
    if (status < 300) return true
    if (WITHOUT_MODES.has(status)) return false
    throw this.#failure(subject, `status ${status}`)
  }

  #failure(subject: string, why: string, cause?: unknown): TidemarkError {
    const { url } = this.#options
    return new TidemarkError(
      'REGISTRY_UNAVAILABLE',
      `The mode of ${subject} could not be set at the schema registry ${url} (${why}). Check that it runs and can be reached; it may be tried again.`,
      { cause, fields: { url, subject } },
    )
  }
}
