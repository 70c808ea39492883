import { hmacMatches, hmacText } from '@tidemark/connector/webhooks'
import type { KnitOptions } from './options.ts'

/** Name of the header that says which connected account a call or a webhook is about. Knit's bodies do not say it. */
export const INTEGRATION_HEADER = 'x-knit-integration-id'

export const SIGNATURE_HEADER = 'x-knit-signature'

/** Headers of a call about one integration. The key has no expiry and cannot be renewed, so there is nothing to get or forget. */
export function authHeaders(options: KnitOptions, integrationId: string): Record<string, string> {
  return { authorization: `Bearer ${options.apiKey}`, [INTEGRATION_HEADER]: integrationId }
}

/** base64url without padding of HMAC-SHA256 over the raw body, keyed with the API key (documented: "Authenticating your APIs with Knit"). */
export function sign(apiKey: string, rawBody: Uint8Array): string {
  return hmacText({ secret: apiKey, bytes: rawBody, encoding: 'base64url' })
}

/**
 * True when one of the keys signed these bytes. Every key is tried, whichever fits, so that the time taken tells nothing. Knit's Node sample
 * signs re-serialised JSON instead; the bytes it sends are compact JSON, so both agree and no body is parsed before it is proved.
 */
export function isSigned(keys: readonly string[], rawBody: Uint8Array, signature: string | undefined): boolean {
  // Padding says nothing: whoever adds it means the same bytes.
  const given = signature?.replace(/=+$/, '')
  let isGenuine = false
  for (const key of keys) {
    const fits = hmacMatches({ secret: key, bytes: rawBody, encoding: 'base64url', given })
    isGenuine = fits || isGenuine
  }
  return isGenuine
}
