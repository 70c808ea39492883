import type { Codec } from '@tidemark/codec'
import type { Page } from '@tidemark/connector'
import type { AppendRecord } from '@tidemark/log'
import { partitionOf, RAW_TOPIC, type Raw, type RawPosition } from '@tidemark/model'

/** Headers that hold secrets whatever the provider. */
const SECRET_HEADERS = ['authorization', 'proxy-authorization', 'x-api-key', 'cookie', 'set-cookie']

/** Longest integration id that is accepted; ids become part of keys and headers. */
const INTEGRATION_ID_CHARS_MAX = 200

/** True for an integration id that can be part of a record key. */
export const isUsableIntegrationId = (id: string): boolean => id.length > 0 && id.length <= INTEGRATION_ID_CHARS_MAX

/** Headers as they are stored: lower-case names, one text each, secrets removed. */
export function storedHeaders(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  secretHeaders: readonly string[],
): Record<string, string> {
  const removed = new Set([...SECRET_HEADERS, ...secretHeaders])
  const stored: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    if (value !== undefined && !removed.has(lower)) stored[lower] = typeof value === 'string' ? value : value.join(', ')
  }
  return stored
}

/** A record of ats.raw, keyed by the integration, or by the source where the bytes name none. Its time in the log is when it was received. */
export function rawRecord(codec: Codec, raw: Raw, partitions: number, timestampMs = raw.received_at): AppendRecord {
  const key = raw.integration_id ?? raw.source
  return {
    topic: RAW_TOPIC,
    partition: partitionOf(key, partitions),
    key: Buffer.from(key),
    value: codec.encode('Raw', raw),
    timestampMs,
  }
}

/** A fetched page as it is stored. */
export function rawPage(
  page: Page,
  from: { readonly source: string; readonly integrationId: string; readonly syncId: string },
  secretHeaders: readonly string[],
): Raw {
  return {
    source: from.source,
    kind: 'page',
    integration_id: from.integrationId,
    route: page.route,
    status: page.status,
    headers: storedHeaders(page.headers, secretHeaders),
    requested_at: page.requestedAtMs,
    received_at: page.receivedAtMs,
    sync_id: from.syncId,
    body: page.body,
  }
}

/** Where a raw record was stored. */
export const rawPosition = (record: AppendRecord, offset: number): RawPosition => ({
  partition: record.partition,
  offset,
})
