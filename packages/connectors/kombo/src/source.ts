import type { ConnectorDeps, FetchOptions, Page, Source } from '@tidemark/connector'
import { HTTP_LIMITS, type HttpLimits, PageGuard } from '@tidemark/connector/http'
import { checkAccess } from './check.ts'
import { KomboClient, type ListAnswer } from './client.ts'
import { CURSOR_LIMITS, type CursorLimits, updatedAfterParam } from './cursor.ts'
import { isKomboStream, STREAM_MODELS } from './mapping.ts'
import type { KomboOptions } from './options.ts'
import { toPage } from './page.ts'
import { createPointReads } from './pointReads.ts'
import { integrationOf, readWebhook, verify } from './webhook.ts'

/** Rows a page; Kombo's maximum and its recommendation. */
const PAGE_SIZE = 250

export interface KomboLimits {
  readonly client: HttpLimits
  readonly cursor: CursorLimits
}

/** One Kombo environment as a source. The limits are an argument for tests only. */
export function createSource(
  options: KomboOptions,
  deps: ConnectorDeps,
  limits: KomboLimits = { client: HTTP_LIMITS, cursor: CURSOR_LIMITS },
): Source {
  const client = new KomboClient(options, deps, limits.client)
  return {
    integrations: options.integrations,
    // One API key reads every integration of its environment, and each announces itself by webhook.
    acceptsNewIntegrations: true,
    streams: Object.keys(STREAM_MODELS),
    modelsOf: (stream) => (isKomboStream(stream) ? STREAM_MODELS[stream] : []),
    // Kombo's sample cursor holds a page number, so rows may be missed while others change (inferred).
    pagingOf: () => 'shifting',
    pointReads: createPointReads(client),
    passthrough: client.passthrough,
    attachments: client.attachments,
    verifyWebhook: (request) => verify(options.webhookSecret, request),
    integrationOf: (request) => integrationOf(request.rawBody),
    readWebhook: (request) => readWebhook(request.rawBody),
    fetch: (fetchOptions) => fetchPages(client, fetchOptions, limits.cursor),
    checkAccess: (checkOptions) => checkAccess(client, checkOptions),
    close: () => client.close(),
  }
}

/** Every page of a listing, the same filters sent with each cursor, until `next` is null. */
async function* fetchPages(client: KomboClient, options: FetchOptions, limits: CursorLimits): AsyncGenerator<Page> {
  const { stream } = options
  if (!isKomboStream(stream)) throw new RangeError(`Kombo has no stream ${stream}`)
  const filters: Record<string, string> = { page_size: String(PAGE_SIZE), include_deleted: 'true' }
  if (options.updatedAfterMs !== undefined) filters['updated_after'] = updatedAfterParam(options.updatedAfterMs)
  const guard = new PageGuard({ provider: 'Kombo', ...limits })
  let cursor: string | null = null
  do {
    const answer: ListAnswer = await client.list({
      path: `/ats/${stream}`,
      query: cursor === null ? filters : { ...filters, cursor },
      integrationId: options.integrationId,
      signal: options.signal,
      onRetry: options.onRetry,
      isBulk: options.isBulk ?? false,
    })
    if (answer.kind === 'page') guard.advance(answer.route, answer.results, answer.next)
    yield toPage(stream, answer)
    cursor = answer.kind === 'page' ? answer.next : null
  } while (cursor !== null)
}
