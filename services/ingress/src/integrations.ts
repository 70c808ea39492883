import { type SyncEvent, syncEvent } from '@tidemark/model'
import type { Logger } from '@tidemark/telemetry'
import type { NamedSource } from './fetchStream.ts'
import type { IngressState } from './state.ts'
import type { SyncLog } from './syncLog.ts'
import type { Syncs } from './syncs.ts'

export interface IntegrationsDeps {
  readonly sources: ReadonlyMap<string, NamedSource>
  readonly state: IngressState
  readonly syncLog: SyncLog
  readonly syncs: Syncs
  readonly logger: Logger
}

/** Which integrations there are, from the configuration and from what webhooks announced, and how they come and go. */
export class Integrations {
  readonly #deps: IntegrationsDeps
  /** Configured integrations, by id. */
  readonly #configured = new Map<string, string>()

  constructor(deps: IntegrationsDeps) {
    this.#deps = deps
    for (const [name, { source }] of deps.sources) for (const id of source.integrations) this.#configured.set(id, name)
  }

  /** Live integrations with the source that reads them, in id order. */
  list(): LiveIntegration[] {
    return liveIntegrations(this.#deps.sources, this.#deps.state)
  }

  /** True when a source reads the integration. */
  isLive(id: string, source: string): boolean {
    const known = this.#deps.state.integration(id)
    if (known?.deleted) return false
    const owner = this.#configured.get(id) ?? known?.source
    return owner === source && (this.#configured.has(id) || this.#accepts(source))
  }

  isDeleted(id: string): boolean {
    return this.#deps.state.integration(id)?.deleted === true
  }

  /** True when another source reads the integration: no webhook of this one may touch it. */
  isForeign(id: string, source: string): boolean {
    const owner = this.#configured.get(id)
    if (owner !== undefined) return owner !== source
    const known = this.#deps.state.integration(id)
    return known !== undefined && known.source !== source && this.isLive(id, known.source)
  }

  /**
   * Fetches whatever of an integration has no watermark completely, and the rest from its watermark on. For the start and for
   * integrations that appear.
   */
  catchUp(id: string, { name, source }: NamedSource): void {
    const base = { source: name, integrationId: id }
    const isNew = (stream: string): boolean => this.#deps.state.watermark(id, stream) === undefined
    const fresh = source.streams.filter(isNew)
    const known = source.streams.filter((stream) => !isNew(stream))
    if (known.length > 0 && source.pushes !== true)
      this.#deps.syncs.ask({ ...base, streams: known, full: false, reason: 'restart' })
    if (fresh.length > 0) this.#deps.syncs.ask({ ...base, streams: fresh, full: true, reason: 'first' })
  }

  /** A verified webhook names an integration that is not read yet. True when it is from now on. */
  async adopt(id: string, from: NamedSource, announcement: SyncEvent): Promise<boolean> {
    if (this.#configured.has(id) || !this.#accepts(from.name)) return false
    await this.#deps.syncLog.append(announcement)
    this.#deps.logger.info({ source: from.name, integration_id: id }, 'new integration, its first sync begins')
    this.catchUp(id, from)
    return true
  }

  /** The provider created (or announced again) an integration. */
  async created(id: string, from: NamedSource, event: SyncEvent): Promise<void> {
    const isNew = !this.isLive(id, from.name)
    const wasDeleted = this.isDeleted(id)
    await this.#deps.syncLog.append(event)
    if ((isNew || wasDeleted) && this.isLive(id, from.name)) this.catchUp(id, from)
    this.#deps.syncs.wake(id)
  }

  /** The provider deleted an integration: nothing of it is fetched any more. */
  async deleted(id: string, event: SyncEvent): Promise<void> {
    await this.#deps.syncLog.append(event)
    await this.#deps.syncs.remove(id)
    this.#deps.logger.info({ integration_id: id }, 'integration was deleted at the provider')
  }

  #accepts(source: string): boolean {
    return this.#deps.sources.get(source)?.source.acceptsNewIntegrations === true
  }
}

export interface LiveIntegration {
  readonly id: string
  readonly source: NamedSource
}

/** What is configured and what webhooks announced, without what was deleted; in id order. */
export function liveIntegrations(sources: ReadonlyMap<string, NamedSource>, state: IngressState): LiveIntegration[] {
  const owners = new Map<string, string>()
  for (const [name, { source }] of sources) for (const id of source.integrations) owners.set(id, name)
  for (const [id, { source, deleted }] of state.integrations()) {
    if (deleted) owners.delete(id)
    else if (!owners.has(id) && sources.get(source)?.source.acceptsNewIntegrations === true) owners.set(id, source)
  }
  return [...owners]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([id, name]) => {
      const source = sources.get(name)
      return source ? [{ id, source }] : []
    })
}

/** The event that says a webhook made an integration known. */
export function adoptionEvent(source: string, id: string, eventName: string, atMs: number): SyncEvent {
  return syncEvent({
    source,
    integration_id: id,
    event: 'integration_created',
    at: atMs,
    message: `first seen in ${eventName}`,
  })
}
