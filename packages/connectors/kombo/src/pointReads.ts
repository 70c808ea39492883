import { TidemarkError } from '@tidemark/base'
import type { PointRead, PointReadOptions, PointReads } from '@tidemark/connector'
import { type ModelName, remoteKeyParts } from '@tidemark/model'
import type { KomboClient, ListAnswer } from './client.ts'
import { type KomboStream, STREAM_MODELS } from './mapping.ts'
import { toPage } from './page.ts'

/** Ids of one request: far below the longest URL that proxies let through, and one page. */
const IDS_MAX = 100

const STREAM_OF = new Map<ModelName, KomboStream>(
  (Object.keys(STREAM_MODELS) as KomboStream[]).map((stream) => [STREAM_MODELS[stream][0], stream]),
)

/**
 * Kombo has no reads of single records; `ids=` with `include_deleted=true` names every row that exists under these ids (documented). A row
 * that is not in the complete answer does not exist.
 */
export function createPointReads(client: Pick<KomboClient, 'list'>): PointReads {
  return {
    models: new Set(STREAM_OF.keys()),
    read: (options) => read(client, options),
  }
}

async function* read(client: Pick<KomboClient, 'list'>, options: PointReadOptions): AsyncGenerator<PointRead> {
  const stream = STREAM_OF.get(options.model)
  if (stream === undefined) throw new RangeError(`Kombo has no listing of ${options.model}`)
  for (let at = 0; at < options.remoteKeys.length; at += IDS_MAX)
    yield* readBatch(client, stream, options, options.remoteKeys.slice(at, at + IDS_MAX))
}

async function* readBatch(
  client: Pick<KomboClient, 'list'>,
  stream: KomboStream,
  { integrationId, signal, onRetry }: PointReadOptions,
  remoteKeys: readonly string[],
): AsyncGenerator<PointRead> {
  const asked = new Map(remoteKeys.map((key) => [remoteKeyParts(key)[0] ?? '', key]))
  const query = { ids: [...asked.keys()].join(','), include_deleted: 'true', page_size: '250' }
  const answer = await client.list({ path: `/ats/${stream}`, query, integrationId, signal, onRetry, isBulk: true })
  const page = toPage(stream, answer)
  // A listing that is not offered (any more) says nothing about its rows.
  if (answer.kind === 'not_offered') return yield { ...page, absent: [] }
  const found = idsOf(answer)
  const alien = found.find((id) => !asked.has(id))
  if (alien !== undefined || answer.next !== null) {
    const problem = alien === undefined ? 'more than one page' : `the row ${alien}, which was not asked for`
    const message = `${answer.route}: Kombo answered a request for ${asked.size} ids with ${problem}, so that nothing follows from what is missing.`
    throw new TidemarkError('PROVIDER_ANSWER_INVALID', message)
  }
  for (const id of found) asked.delete(id)
  yield { ...page, absent: [...asked].map(([id, remoteKey]) => ({ remoteKey, record: { id } })) }
}

/** Ids of the rows, also of those that cannot be mapped. */
function idsOf({ results }: ListAnswer & { readonly kind: 'page' }): string[] {
  return results.flatMap((row) => {
    const id = typeof row === 'object' && row !== null && 'id' in row ? row.id : undefined
    return typeof id === 'string' ? [id] : []
  })
}
