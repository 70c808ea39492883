import { isBaseUrl, optionInvalid, PRINTABLE, printableExpected } from '@tidemark/connector/options'
import { z } from 'zod'

/** What orders the states of a record; one scale for the whole source, because versions of two scales cannot be compared. */
export type RecordVersion = 'triggered_at' | 'updated_at'

/** Settings of one Knit account: its API key, which also signs webhooks, and the integrations to read. */
export interface KnitOptions {
  /** Base URL with version path, without trailing slash: `https://api.getknit.dev/v1.0`. */
  readonly baseUrl: string
  /** Sent with every call. */
  readonly apiKey: string
  /** Also accepted in signatures while the key is being exchanged; null: no exchange is going on. */
  readonly secondApiKey: string | null
  readonly integrations: readonly string[]
  readonly recordVersion: RecordVersion
}

const baseUrl = z.string('expected a URL').refine(isBaseUrl, {
  error: 'expected an http or https URL without user, query or fragment, such as https://api.getknit.dev/v1.0',
})

const headerValue = (what: string) => z.string(`expected ${what}`).regex(PRINTABLE, printableExpected(what))

const schema = z.strictObject({
  base_url: baseUrl,
  api_key: headerValue('the API key of the Knit account'),
  second_api_key: headerValue('the other API key of the Knit account').optional(),
  integrations: z
    .array(headerValue('the id of a Knit integration'), 'expected a list of integration ids')
    .refine((ids) => new Set(ids).size === ids.length, { error: 'lists an integration id twice' }),
  record_version: z.enum(['triggered_at', 'updated_at'], 'expected triggered_at or updated_at').default('triggered_at'),
})

/**
 * Parses the options of a Knit source. `name` and `connector`, which every source has, are passed over. Throws CONFIG_INVALID
 * naming the first wrong key; never repeats a value, which may be a secret.
 */
export function parseOptions(options: Readonly<Record<string, unknown>>): KnitOptions {
  const { name: _name, connector: _connector, ...own } = options
  const parsed = schema.safeParse(own)
  if (!parsed.success) throw optionInvalid(parsed.error.issues[0], 'a Knit source', Object.keys(schema.shape))
  const { base_url, api_key, second_api_key, integrations, record_version } = parsed.data
  return {
    baseUrl: base_url.replace(/\/+$/, ''),
    apiKey: api_key,
    secondApiKey: second_api_key ?? null,
    integrations,
    recordVersion: record_version,
  }
}
