import { TidemarkError } from '@tidemark/base'
import { z } from 'zod'

/** Settings of one Kombo environment: one API key, one webhook secret, the integrations to read. */
export interface KomboOptions {
  /** Base URL with version path, without trailing slash: `https://api.kombo.dev/v1` (EU) or `https://api.us.kombo.dev/v1` (US). */
  readonly baseUrl: string
  readonly apiKey: string
  readonly webhookSecret: string
  readonly integrations: readonly string[]
}

/** Values that go into HTTP headers: printable ASCII, so that a mistyped secret fails here and not as a cryptic transport error. */
const HEADER_VALUE = /^[\x21-\x7e]+$/

const baseUrl = z.string('expected a URL').refine(isBaseUrl, {
  error: 'expected an http or https URL without user, query or fragment, such as https://api.kombo.dev/v1',
})

const headerValue = (what: string) =>
  z.string(`expected ${what}`).regex(HEADER_VALUE, `expected ${what}: printable characters without spaces, not empty`)

const schema = z.strictObject({
  base_url: baseUrl,
  api_key: headerValue('the API key of the Kombo environment'),
  webhook_secret: z.string('expected the webhook secret of the Kombo environment').min(1, 'must not be empty'),
  integrations: z
    .array(headerValue('an integration id such as join:HWUTwvyx2wLoSUHphiWVrp28'), 'expected a list of integration ids')
    .refine((ids) => new Set(ids).size === ids.length, { error: 'lists an integration id twice' }),
})

function isBaseUrl(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === ''
  )
}

/**
 * Parses the options of a Kombo source. `name` and `connector`, which every source has, are passed over. Throws CONFIG_INVALID
 * naming the first wrong key; never repeats a value, which may be a secret.
 */
export function parseOptions(options: Readonly<Record<string, unknown>>): KomboOptions {
  const { name: _name, connector: _connector, ...own } = options
  const parsed = schema.safeParse(own)
  if (!parsed.success) throw configInvalid(parsed.error.issues[0])
  const { base_url, api_key, webhook_secret, integrations } = parsed.data
  return { baseUrl: base_url.replace(/\/+$/, ''), apiKey: api_key, webhookSecret: webhook_secret, integrations }
}

function configInvalid(issue: z.core.$ZodIssue | undefined): TidemarkError {
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined
  const key = unknown ?? issue?.path.join('.') ?? ''
  const problem =
    unknown === undefined
      ? (issue?.message ?? 'is not valid')
      : 'is not an option of a Kombo source; the options are base_url, api_key, webhook_secret, integrations'
  return new TidemarkError('CONFIG_INVALID', `${key}: ${problem}`, { fields: { key } })
}
