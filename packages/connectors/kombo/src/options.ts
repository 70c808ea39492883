import { isBaseUrl, optionInvalid, PRINTABLE, printableExpected } from '@tidemark/connector/options'
import { z } from 'zod'

/** Settings of one Kombo environment: one API key, one webhook secret, the integrations to read. */
export interface KomboOptions {
  /** Base URL with version path, without trailing slash: `https://api.kombo.dev/v1` (EU) or `https://api.us.kombo.dev/v1` (US). */
  readonly baseUrl: string
  readonly apiKey: string
  readonly webhookSecret: string
  readonly integrations: readonly string[]
}

const baseUrl = z.string('expected a URL').refine(isBaseUrl, {
  error: 'expected an http or https URL without user, query or fragment, such as https://api.kombo.dev/v1',
})

const headerValue = (what: string) => z.string(`expected ${what}`).regex(PRINTABLE, printableExpected(what))

const schema = z.strictObject({
  base_url: baseUrl,
  api_key: headerValue('the API key of the Kombo environment'),
  webhook_secret: z.string('expected the webhook secret of the Kombo environment').min(1, 'must not be empty'),
  integrations: z
    .array(headerValue('an integration id such as join:HWUTwvyx2wLoSUHphiWVrp28'), 'expected a list of integration ids')
    .refine((ids) => new Set(ids).size === ids.length, { error: 'lists an integration id twice' }),
})

/**
 * Parses the options of a Kombo source. `name` and `connector`, which every source has, are passed over. Throws CONFIG_INVALID
 * naming the first wrong key; never repeats a value, which may be a secret.
 */
export function parseOptions(options: Readonly<Record<string, unknown>>): KomboOptions {
  const { name: _name, connector: _connector, ...own } = options
  const parsed = schema.safeParse(own)
  if (!parsed.success) throw optionInvalid(parsed.error.issues[0], 'a Kombo source', Object.keys(schema.shape))
  const { base_url, api_key, webhook_secret, integrations } = parsed.data
  return { baseUrl: base_url.replace(/\/+$/, ''), apiKey: api_key, webhookSecret: webhook_secret, integrations }
}
