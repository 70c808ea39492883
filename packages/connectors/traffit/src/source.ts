import type { ConnectorDeps, FetchOptions, Page, PointReadOptions, Source, Subscriptions } from '@tidemark/connector'
import type { HttpLimits } from '@tidemark/connector/http'
import { applicationPages } from './applications.ts'
import { createAttachments } from './attachments.ts'
import { checkAccess } from './check.ts'
import { CLIENT_LIMITS, TraffitClient } from './client.ts'
import { CURSOR_LIMITS, type CursorLimits } from './cursor.ts'
import { jobPages } from './jobs.ts'
import { isTraffitStream, mapUsers, STREAM_MODELS, STREAM_SCOPE, type TraffitStream } from './mapping.ts'
import type { TraffitOptions } from './options.ts'
import { candidatePages, tagPages } from './people.ts'
import { createPointReads } from './pointReads.ts'
import { pagesOf, type Run } from './run.ts'
import { stagePages } from './stages.ts'
import { ensureSubscriptions, removeSubscriptions } from './subscriptions.ts'
import { createTimes } from './times.ts'
import { readWebhook, verify } from './webhook.ts'

export interface TraffitLimits {
  readonly client: HttpLimits
  readonly cursor: CursorLimits
}

const STREAMS: Readonly<Record<TraffitStream, (run: Run) => AsyncIterable<Page>>> = {
  users: (run) => pagesOf(run, { path: '/users/' }, STREAM_SCOPE.users, (rows) => mapUsers(run.context, rows)),
  jobs: jobPages,
  'application-stages': stagePages,
  candidates: candidatePages,
  applications: applicationPages,
  tags: tagPages,
}

/** One TRAFFIT tenant as a source. The limits are an argument for tests only. */
export function createSource(
  options: TraffitOptions,
  deps: ConnectorDeps,
  limits: TraffitLimits = { client: CLIENT_LIMITS, cursor: CURSOR_LIMITS },
): Source {
  const client = new TraffitClient(options, deps, limits.client)
  const times = createTimes(options.timeZone)
  const onlyCreated = options.applicationsCreatedAfterMs !== null
  const runOf = ({ integrationId, signal, onRetry, ...more }: FetchOptions | PointReadOptions): Run => ({
    client,
    context: { integrationId, times },
    caller: { signal, onRetry, isBulk: 'isBulk' in more && more.isBulk === true },
    sinceMs: 'updatedAfterMs' in more ? more.updatedAfterMs : undefined,
    createdAfterMs: options.applicationsCreatedAfterMs,
    limits: limits.cursor,
  })
  return {
    integrations: [options.integration],
    acceptsNewIntegrations: false,
    streams: Object.keys(STREAM_MODELS),
    modelsOf: (stream) => (isTraffitStream(stream) ? STREAM_MODELS[stream] : []),
    // Pages are numbered: when a row before them is deleted, the first of the next page moves onto one that was read already.
    pagingOf: () => 'shifting',
    pointReads: createPointReads(runOf, onlyCreated),
    subscriptions: subscriptionsOf(client, options),
    passthrough: client.passthrough,
    attachments: createAttachments(client),
    verifyWebhook: (request) => verify(options.webhookSecret, request),
    integrationOf: () => options.integration,
    readWebhook: ({ rawBody }) => readWebhook(rawBody, options.integration, onlyCreated),
    fetch: (fetchOptions) => {
      if (!isTraffitStream(fetchOptions.stream)) throw new RangeError(`TRAFFIT has no stream ${fetchOptions.stream}`)
      return STREAMS[fetchOptions.stream](runOf(fetchOptions))
    },
    checkAccess: ({ signal, onRetry }) => checkAccess(client, { signal, onRetry }),
    close: () => client.close(),
  }
}

function subscriptionsOf(client: TraffitClient, { webhookSecret }: TraffitOptions): Subscriptions {
  return {
    async ensure({ url, signal, onRetry }) {
      const { created, kept, removed, notOffered } = await ensureSubscriptions(client, url, webhookSecret, {
        signal,
        onRetry,
      })
      const missing = notOffered.length === 0 ? '' : ` TRAFFIT does not offer ${notOffered.join(', ')}.`
      return `${created.length} webhooks were registered, ${removed.length} removed, ${kept.length} were there.${missing}`
    },
    async remove({ url, signal, onRetry }) {
      return `${(await removeSubscriptions(client, url, { signal, onRetry })).length} webhooks were removed.`
    },
  }
}
