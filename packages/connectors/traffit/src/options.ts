import { optionInvalid, PRINTABLE, printableExpected } from '@tidemark/connector/options'
import { parseTime } from '@tidemark/model'
import { z } from 'zod'

/** Settings of one TRAFFIT tenant. */
export interface TraffitOptions {
  /** Origin of the tenant, without path: `https://acme.traffit.com`. */
  readonly baseUrl: string
  readonly clientId: string
  readonly clientSecret: string
  /** Expected as `?secret=` of every webhook. */
  readonly webhookSecret: string
  /** Integration id; default `traffit:<tenant>`. */
  readonly integration: string
  /** IANA name of the zone in which the tenant writes its times; default UTC. */
  readonly timeZone: string
  /** Scopes that a token is asked for. */
  readonly scopes: readonly string[]
  /** Only applications that were created at or after this time, in ms; null: all. */
  readonly applicationsCreatedAfterMs: number | null
  /** Requests a second at most; TRAFFIT publishes no limit, and a public client holds itself to 5. Default 5. */
  readonly requestsPerSecond: number
}

const REQUESTS_PER_SECOND = 5

/** The scopes that the streams, files and webhook subscriptions need. */
export const DEFAULT_SCOPES = [
  'employee',
  'recruitment',
  'workflow',
  'user',
  'source',
  'file',
  'dictionary',
  'advert',
  'webhook',
] as const

const printable = (what: string) => z.string(`expected ${what}`).regex(PRINTABLE, printableExpected(what))

const schema = z.strictObject({
  base_url: z
    .string('expected a URL')
    .refine(isOrigin, { error: 'expected the address of the tenant without path, such as https://acme.traffit.com' })
    .refine((text) => !/^https?:\/\/www\./i.test(text), {
      error: 'leave out `www.`: the certificate of TRAFFIT does not cover it',
    }),
  client_id: printable('the client id, such as acme_tidemark'),
  client_secret: printable('the client secret'),
  webhook_secret: printable('the secret for webhooks').min(16, 'expected at least 16 characters'),
  integration: printable('an integration id such as traffit:acme').optional(),
  time_zone: z
    .string('expected a time zone')
    .refine(isTimeZone, { error: 'expected the name of a time zone, such as UTC or Europe/Warsaw' })
    .optional(),
  scopes: z
    .array(z.string('expected a scope').regex(/^[a-z_]+$/, 'expected a scope, such as employee'), 'expected a list')
    .min(1, 'must name a scope')
    .optional(),
  requests_per_second: z
    .number('expected a number')
    .min(0.1, 'expected at least 0.1')
    .max(1000, 'expected at most 1000')
    .optional(),
  applications_created_after: z
    .string('expected a time such as 2026-11-20T00:00:00Z')
    .refine((text) => parseTime(text) !== undefined, { error: 'expected a time such as 2026-11-20T00:00:00Z' })
    .optional(),
})

function isOrigin(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    `${url.origin}/` === url.href &&
    !text.includes('?') &&
    !text.includes('#')
  )
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    // That is how the platform says that it does not know the zone.
    return false
  }
}

/** `acme` of `https://acme.traffit.com`, and the whole host name of anything else. */
function tenantOf(baseUrl: string): string {
  const { hostname } = new URL(baseUrl)
  return /^([^.]+)\.traffit\.com$/.exec(hostname)?.[1] ?? hostname
}

/**
 * Parses the options of a TRAFFIT source. `name` and `connector`, which every source has, are passed over. Throws CONFIG_INVALID
 * naming the first wrong key; never repeats a value, which may be a secret.
 */
export function parseOptions(options: Readonly<Record<string, unknown>>): TraffitOptions {
  const { name: _name, connector: _connector, ...own } = options
  const parsed = schema.safeParse(own)
  if (!parsed.success) throw optionInvalid(parsed.error.issues[0], 'a TRAFFIT source', Object.keys(schema.shape))
  const { data } = parsed
  const baseUrl = new URL(data.base_url).origin
  return {
    baseUrl,
    clientId: data.client_id,
    clientSecret: data.client_secret,
    webhookSecret: data.webhook_secret,
    integration: data.integration ?? `traffit:${tenantOf(baseUrl)}`,
    timeZone: data.time_zone ?? 'UTC',
    scopes: data.scopes ?? DEFAULT_SCOPES,
    applicationsCreatedAfterMs: parseTime(data.applications_created_after) ?? null,
    requestsPerSecond: data.requests_per_second ?? REQUESTS_PER_SECOND,
  }
}
