import type { Clock } from '@tidemark/base'
import type { Faults } from '../faults.ts'
import type { Scheduler } from '../scheduler.ts'
import { base58Id } from '../world/ids.ts'
import type { Delivery } from './delivery.ts'
import type { Integration } from './integration.ts'
import { isoTime } from './render.ts'

export interface WebhookDeps {
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly delivery: Delivery
  readonly faults: Faults
  readonly debounceMs: number
  readonly seed: number
}

interface Window {
  readonly pending: Set<string>
}

/** Makes Kombo's webhooks and decides when they go out. */
export class Webhooks {
  readonly #deps: WebhookDeps
  readonly #windows = new Map<string, Window>()
  #number = 0

  constructor(deps: WebhookDeps) {
    this.#deps = deps
  }

  /**
   * Models of an integration changed. Leading edge: the first change goes out at once; those of the following window are merged into one
   * webhook at its end, which opens the next window.
   */
  dataChanged(integration: Integration, models: ReadonlySet<string>): void {
    if (models.size === 0) return
    const open = this.#windows.get(integration.id)
    if (open) {
      for (const model of models) open.pending.add(model)
      return
    }
    this.#sendDataChanged(integration, models)
    if (this.#deps.debounceMs > 0) this.#openWindow(integration)
  }

  syncFinished(
    integration: Integration,
    sync: { readonly id: string; readonly startedMs: number; readonly state: string },
  ): void {
    const endedMs = this.#deps.clock.now()
    this.#send(integration, 'sync-finished', {
      sync_id: sync.id,
      sync_state: sync.state,
      sync_started_at: isoTime(sync.startedMs),
      sync_ended_at: isoTime(endedMs),
      sync_duration_seconds: Math.round((endedMs - sync.startedMs) / 1000),
      ...head(integration),
      end_user: integration.endUser,
      log_url: `https://app.kombo.dev/sandbox/logs/${sync.id}`,
    })
  }

  integrationCreated(integration: Integration): void {
    this.#send(integration, 'integration-created', lifecycle(integration))
  }

  integrationDeleted(integration: Integration): void {
    this.#windows.delete(integration.id)
    const deleted_at = isoTime(this.#deps.clock.now())
    this.#send(integration, 'integration-deleted', { ...lifecycle(integration), deleted_at })
  }

  integrationStateChanged(integration: Integration): void {
    this.#send(integration, 'integration-state-changed', {
      ...head(integration),
      end_user: integration.endUser,
      qa_status: integration.qaStatus,
      setup_status: integration.setupStatus,
      state: integration.state,
      updated_at: isoTime(this.#deps.clock.now()),
    })
  }

  /** Forgets open windows; for a stopped sandbox. */
  reset(): void {
    this.#windows.clear()
  }

  #openWindow(integration: Integration): void {
    const { clock, scheduler, debounceMs } = this.#deps
    const window: Window = { pending: new Set() }
    this.#windows.set(integration.id, window)
    scheduler.at(clock.now() + debounceMs, () => {
      if (this.#windows.get(integration.id) !== window) return
      this.#windows.delete(integration.id)
      if (window.pending.size === 0) return
      this.#sendDataChanged(integration, window.pending)
      this.#openWindow(integration)
    })
  }

  #sendDataChanged(integration: Integration, models: ReadonlySet<string>): void {
    const changed_models = [...models].sort().map((name) => ({ name }))
    this.#send(integration, 'data-changed', { ...head(integration), changed_models })
  }

  /** Two spaces of indentation: what is signed are exactly these bytes. */
  #send(integration: Integration, type: string, data: object): void {
    const { clock, delivery, faults, scheduler, seed } = this.#deps
    const id = base58Id(`webhook|${seed}|${this.#number++}`)
    const body = Buffer.from(JSON.stringify({ id, type, data }, null, 2))
    const webhook = { id, type, integrationId: integration.id, body }
    const point = { endpoint: type, integrationId: integration.id }
    const [fault] = faults.take(['duplicate_webhook', 'lost_webhook', 'late_webhook'], point)
    if (fault?.kind === 'lost_webhook') {
      delivery.lose()
      return
    }
    if (fault?.kind === 'late_webhook') {
      scheduler.at(clock.now() + (fault.delayMs ?? 1000), () => delivery.send(webhook))
      return
    }
    delivery.send(webhook)
    if (fault?.kind === 'duplicate_webhook') delivery.send(webhook)
  }
}

function head(integration: Integration): object {
  return {
    integration_id: integration.id,
    integration_tool: integration.company.tool.slug,
    integration_category: 'ATS',
  }
}

function lifecycle(integration: Integration): object {
  return { id: integration.id, tool: integration.company.tool.slug, category: 'ATS', end_user: integration.endUser }
}
