import type {
  ConnectorDeps,
  FetchOptions,
  Page,
  Paging,
  Source,
  SubscriptionOptions,
  Subscriptions,
} from '@tidemark/connector'
import { HTTP_LIMITS, type HttpLimits } from '@tidemark/connector/http'
import { checkAccess } from './check.ts'
import { HrworksClient } from './client.ts'
import { CURSOR_LIMITS, type CursorLimits } from './cursor.ts'
import { type HrworksStream, isHrworksStream, STREAM_MODELS, SWEPT_MODELS } from './mapping.ts'
import type { HrworksOptions } from './options.ts'
import { createPointReads } from './pointReads.ts'
import { createStatuses } from './statuses.ts'
import { FETCHES } from './streams.ts'
import { registerWebhooks, removeWebhooks, type WebhookTarget } from './subscriptions.ts'
import { readWebhook, verify } from './webhook.ts'

export interface HrworksLimits {
  readonly client: HttpLimits
  readonly cursor: CursorLimits
}

/** A source of HR WORKS, with what the port has no place for. */
export interface HrworksSource extends Source {
  /** Keys of HR WORKS that were answered by a default, one sentence each; the first 100. */
  warnings(): readonly string[]
}

const WARNINGS_MAX = 100

/**
 * Persons and posts come in one answer. Applications are listed by page number, so rows may be missed while others change. Applicants too, and only
 * those with an application (documented): one that is not listed may exist.
 */
const PAGING: Readonly<Record<HrworksStream, Paging>> = {
  users: 'stable',
  jobs: 'stable',
  candidates: 'partial',
  applications: 'shifting',
}

/** One HR WORKS tenant as a source. The limits are an argument for tests only. */
export function createSource(
  options: HrworksOptions,
  deps: ConnectorDeps,
  limits: HrworksLimits = { client: HTTP_LIMITS, cursor: CURSOR_LIMITS },
): HrworksSource {
  const { integration } = options
  const client = new HrworksClient(options, deps, limits.client)
  const statuses = createStatuses(options)
  const warnings = new Set<string>()
  const warn = (text: string): void => {
    if (warnings.size < WARNINGS_MAX) warnings.add(text)
  }
  const fetchPages = ({ stream, signal, onRetry, isBulk }: FetchOptions): AsyncGenerator<Page> => {
    if (!isHrworksStream(stream)) throw new RangeError(`HR WORKS has no stream ${stream}`)
    const effort = { signal, onRetry, isBulk }
    return FETCHES[stream]({ client, integrationId: integration, statuses, effort, cursor: limits.cursor, warn })
  }
  return {
    integrations: [integration],
    acceptsNewIntegrations: false,
    streams: Object.keys(STREAM_MODELS),
    modelsOf: (stream) => (isHrworksStream(stream) ? STREAM_MODELS[stream] : []),
    sweptModelsOf: (stream) => (isHrworksStream(stream) ? SWEPT_MODELS[stream] : []),
    pagingOf: (stream) => (isHrworksStream(stream) ? PAGING[stream] : 'stable'),
    pointReads: createPointReads({ client, integrationId: integration, statuses }),
    subscriptions: subscriptionsOf(options, client, deps),
    passthrough: client.passthrough,
    verifyWebhook: (request) => verify(options, deps.clock.now(), request),
    integrationOf: () => integration,
    readWebhook: (request) => readWebhook(request.rawBody, integration),
    // Nothing of HR WORKS says when it changed: whatever is asked for since when, everything is read.
    fetch: fetchPages,
    checkAccess: ({ signal, onRetry }) => checkAccess(client, { signal, onRetry }),
    warnings: () => [...warnings],
    close: () => client.close(),
  }
}

function subscriptionsOf(options: HrworksOptions, client: HrworksClient, { clock }: ConnectorDeps): Subscriptions {
  const jobs = { client, clock }
  const target = ({ url, ...effort }: SubscriptionOptions): WebhookTarget => {
    const endpoint = new URL(url)
    if (options.webhookSecret !== null) endpoint.searchParams.set('secret', options.webhookSecret)
    return { ...effort, url: endpoint.href, accessKey: options.accessKey }
  }
  return {
    async ensure(subscription) {
      const { created, updated, unchanged } = await registerWebhooks(jobs, target(subscription))
      return `${created.length} webhooks were registered, ${updated.length} mended, ${unchanged.length} were there.`
    },
    remove: async (subscription) => `${await removeWebhooks(jobs, target(subscription))} webhooks were removed.`,
  }
}
