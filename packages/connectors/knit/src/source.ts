import type { ConnectorDeps, FetchOptions, Page, Source } from '@tidemark/connector'
import { HTTP_LIMITS, type HttpLimits } from '@tidemark/connector/http'
import { isSigned, SIGNATURE_HEADER } from './auth.ts'
import { checkAccess } from './check.ts'
import { KnitClient } from './client.ts'
import type { KnitOptions } from './options.ts'
import { toPage } from './page.ts'
import { pointReads } from './pointReads.ts'
import { DATA_TYPES, isKnitStream, STREAM_MODELS, SWEPT_MODELS } from './streams.ts'
import { startSync } from './syncs.ts'
import { integrationOf, readWebhook } from './webhook.ts'

/** One Knit account as a source. The limits are an argument for tests only. */
export function createSource(options: KnitOptions, deps: ConnectorDeps, limits: HttpLimits = HTTP_LIMITS): Source {
  const client = new KnitClient(options, deps, limits)
  const keys = options.secondApiKey === null ? [options.apiKey] : [options.apiKey, options.secondApiKey]
  return {
    integrations: options.integrations,
    // One API key reads every integration of its account, and each announces itself by webhook.
    acceptsNewIntegrations: true,
    streams: Object.keys(STREAM_MODELS),
    pushes: true,
    modelsOf: (stream) => (isKnitStream(stream) ? STREAM_MODELS[stream] : []),
    sweptModelsOf: (stream) => (isKnitStream(stream) ? SWEPT_MODELS[stream] : []),
    // There are no pages; nothing ever follows from one.
    pagingOf: () => 'shifting',
    pointReads,
    passthrough: client.passthrough,
    verifyWebhook: ({ headers, rawBody }) => isSigned(keys, rawBody, headers[SIGNATURE_HEADER]),
    integrationOf,
    readWebhook: (request) => readWebhook(request, options.recordVersion),
    fetch: (fetchOptions) => fetchPages(client, fetchOptions),
    checkAccess: (checkOptions) => checkAccess(client, checkOptions),
    close: () => client.close(),
  }
}

/**
 * Has Knit send the records of a stream: everything that is active, or what has changed since its last run. Which changes those are is Knit's
 * own memory, so the time asked for is not sent.
 */
async function* fetchPages(client: KnitClient, options: FetchOptions): AsyncGenerator<Page> {
  const { stream, integrationId, signal, onRetry, isBulk } = options
  if (!isKnitStream(stream)) throw new RangeError(`Knit has no stream ${stream}`)
  const syncType = options.updatedAfterMs === undefined ? 'initial_sync' : 'delta_sync'
  const call = { integrationId, signal, onRetry, isBulk: isBulk ?? false }
  yield toPage(stream, await startSync(client, { ...call, dataType: DATA_TYPES[stream], syncType }))
}
