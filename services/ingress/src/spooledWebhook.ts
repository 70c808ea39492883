import { TidemarkError } from '@tidemark/base'
import type { Raw } from '@tidemark/model'

/** What of a webhook is spooled: what its sender and the receiver know. Schemas come in when it is drained. */
type Kept = Pick<Raw, 'source' | 'integration_id' | 'route' | 'headers' | 'received_at'>

/** A webhook as it stands in the spool: length of the JSON (u32, little-endian), JSON, then the body as it came. */
export function encodeWebhook(raw: Raw): Buffer {
  const { source, integration_id, route, headers, received_at } = raw
  const json = Buffer.from(JSON.stringify({ source, integration_id, route, headers, received_at } satisfies Kept))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(json.length)
  return Buffer.concat([length, json, raw.body])
}

/** Throws VALUE_UNDECODABLE. */
export function decodeWebhook(payload: Buffer): Raw {
  let kept: Kept
  const bodyAt = payload.length < 4 ? 0 : 4 + payload.readUInt32LE(0)
  try {
    kept = JSON.parse(payload.toString('utf8', 4, bodyAt)) as Kept
  } catch (cause) {
    throw new TidemarkError('VALUE_UNDECODABLE', 'A record of the webhook spool is no webhook of this version.', {
      cause,
    })
  }
  return webhookRaw(kept, payload.subarray(bodyAt))
}

/** A record of ats.raw for a webhook. */
export const webhookRaw = (kept: Kept, body: Uint8Array): Raw => ({
  ...kept,
  kind: 'webhook',
  status: null,
  requested_at: null,
  sync_id: null,
  body,
})
