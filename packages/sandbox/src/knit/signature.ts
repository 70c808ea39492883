import { createHmac } from 'node:crypto'

/** Value of `X-Knit-Signature`: base64url without padding of HMAC-SHA256 over the body's bytes, keyed with the account's API key. */
export function signKnit(apiKey: string, body: Uint8Array): string {
  return createHmac('sha256', apiKey).update(body).digest('base64url')
}
