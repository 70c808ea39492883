import { TidemarkError } from '@tidemark/base'
import { isBaseUrl, optionInvalid, PRINTABLE, printableExpected } from '@tidemark/connector/options'
import { z } from 'zod'
import { OUTCOMES, type Outcome } from './statuses.ts'

/** Settings of one HR WORKS tenant, read with one key pair. */
export interface HrworksOptions {
  /** Id of the one integration of this source. */
  readonly integration: string
  /** Base URL with version path, without trailing slash. */
  readonly baseUrl: string
  readonly accessKey: string
  /** Also signs the tenant's webhooks. */
  readonly secretAccessKey: string
  /** Value that webhooks must carry as `?secret=`, beside their signature; null: none. */
  readonly webhookSecret: string | null
  /** Status identifiers in the order of the hiring process; null: the order of the known ones. */
  readonly statusOrder: readonly string[] | null
  /** Outcomes of status identifiers, over those that are known. */
  readonly statusOutcomes: Readonly<Record<string, Outcome>>
}

const PRODUCTION = 'https://api.hrworks.de/v2'

const baseUrl = z.string('expected a URL').refine(isBaseUrl, {
  error: `expected an http or https URL without user, query or fragment, such as ${PRODUCTION}`,
})

const printable = (what: string) => z.string(`expected ${what}`).regex(PRINTABLE, printableExpected(what))

const statusId = z.string('expected a status identifier').min(1, 'must not be empty')

const schema = z.strictObject({
  integration: printable('an integration id such as hrworks:acme').optional(),
  base_url: baseUrl.optional(),
  access_key: printable('the access key of the key pair'),
  secret_access_key: printable('the secret access key of the key pair'),
  webhook_secret: printable('the secret in the URL of the webhooks').optional(),
  status_order: z
    .array(statusId, 'expected a list of status identifiers')
    .refine((ids) => new Set(ids).size === ids.length, { error: 'lists a status identifier twice' })
    .optional(),
  status_outcomes: z
    .record(
      statusId,
      z.enum(OUTCOMES, `expected one of ${OUTCOMES.join(', ')}`),
      'expected outcomes by status identifier',
    )
    .optional(),
})

/**
 * Parses the options of an HR WORKS source. The integration id is `hrworks:<name of the source>` unless it is given.
 * Throws CONFIG_INVALID naming the first wrong key; never repeats a value, which may be a secret.
 */
export function parseOptions(options: Readonly<Record<string, unknown>>): HrworksOptions {
  const { name, connector: _connector, ...own } = options
  const parsed = schema.safeParse(own)
  if (!parsed.success) throw optionInvalid(parsed.error.issues[0], 'an HR WORKS source', Object.keys(schema.shape))
  const { data } = parsed
  return {
    integration: data.integration ?? defaultIntegration(name),
    baseUrl: (data.base_url ?? PRODUCTION).replace(/\/+$/, ''),
    accessKey: data.access_key,
    secretAccessKey: data.secret_access_key,
    webhookSecret: data.webhook_secret ?? null,
    statusOrder: data.status_order ?? null,
    statusOutcomes: data.status_outcomes ?? {},
  }
}

/** HR WORKS names no tenant anywhere, and a key pair may be replaced; the name of the source lasts. */
function defaultIntegration(name: unknown): string {
  if (typeof name === 'string' && PRINTABLE.test(name)) return `hrworks:${name}`
  const key = 'integration'
  const message = `${key}: expected an integration id such as hrworks:acme, because the source has no name to derive it from`
  throw new TidemarkError('CONFIG_INVALID', message, { fields: { key } })
}
