import { createHmac } from 'node:crypto'

/** Value of `X-Kombo-Signature`: base64url without padding of HMAC-SHA256 over the body's bytes. */
export function signWebhook(secret: string, body: Uint8Array): string {
  return createHmac('sha256', secret).update(body).digest('base64url')
}
