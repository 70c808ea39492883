import { existsSync, readFileSync, statSync } from 'node:fs'
import { hashApiKey, USUAL_LIMIT } from '@tidemark/api'
import { TidemarkError } from '@tidemark/base'
import { MODEL_NAMES } from '@tidemark/model'
import { z } from 'zod'
import { keyName, lineOf, parseYaml, valuesOf } from './configDocument.ts'
import { resolveTexts } from './configTexts.ts'

const HASHED = 'sha256:'

/** How a key's hash stands in the configuration in place of the key. */
export const hashedKey = (hash: string): string => `${HASHED}${hash}`

/** A key, or its hash. From here on only the hash is known. */
const keyHash = z
  .string()
  .min(16, 'an API key needs at least 16 characters')
  .refine(
    (text) => !text.startsWith(HASHED) || /^[0-9a-fA-F]{64}$/.test(text.slice(HASHED.length)),
    'behind sha256: the 64 hex digits of a hash are needed; tidemark api-key makes a key and its hash',
  )
  .transform((text) => (text.startsWith(HASHED) ? text.slice(HASHED.length).toLowerCase() : hashApiKey(text)))

const apiKey = z
  .strictObject({
    name: z.string().min(1),
    key: keyHash,
    integrations: z.array(z.string().min(1)).optional(),
    models: z.array(z.enum(MODEL_NAMES)).optional(),
    write: z.boolean().optional(),
  })
  .transform(({ key, ...rest }) => ({ ...rest, hash: key }))

const rateLimit = z.strictObject({
  requests: z.number().int().min(1).max(1_000_000).default(USUAL_LIMIT.requests),
  window_seconds: z
    .number()
    .positive()
    .max(86_400)
    .default(USUAL_LIMIT.windowMs / 1000),
})

const api = z.strictObject({
  rate_limit: z
    .union([z.literal(false), rateLimit], 'a limit is {requests: 300, window_seconds: 60}, and false is none')
    .optional(),
})

/** When a deletion by absence waits for an operator's decision. */
const sweeps = z.strictObject({
  hold_share: z.number().min(0).max(1).default(0.3),
  hold_min: z.number().int().min(1).default(50),
})

const source = z.looseObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'a source name is 1 to 63 lower-case letters, digits, - and _'),
  connector: z.string().min(1),
})

/** What the simulated company can be read as. */
export const SANDBOXES = ['kombo', 'traffit', 'hrworks', 'knit'] as const

export type SandboxKind = (typeof SANDBOXES)[number]

const sandbox = z.strictObject({
  providers: z.array(z.enum(SANDBOXES)).min(1).optional(),
  seed: z.number().int().optional(),
  actions_per_minute: z.number().positive().max(60_000).optional(),
  debounce_ms: z.number().int().min(0).optional(),
  jobs: z.number().int().positive().optional(),
  candidates: z.number().int().positive().optional(),
  applications: z.number().int().positive().optional(),
  first_sync_ms: z.number().int().min(0).optional(),
})

const sasl = z.strictObject({
  mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
  username: z.string().min(1),
  password: z.string().min(1),
})

const kafka = z.strictObject({
  brokers: z.array(z.string().regex(/^[^:]+:\d+$/, 'a broker is host:port')).min(1),
  registry: z.url({ protocol: /^https?$/, error: 'the registry is a http or https URL' }),
  tls: z
    .union([z.boolean(), z.strictObject({ ca: z.string(), cert: z.string().optional(), key: z.string().optional() })])
    .optional(),
  sasl: sasl.optional(),
  replication: z.number().int().min(1).optional(),
})

const fields = z.strictObject({
  mode: z.enum(['embedded', 'kafka']).default('embedded'),
  data: z.string().min(1).optional(),
  host: z.string().min(1).default('127.0.0.1'),
  port: z.number().int().min(0).max(65_535).optional(),
  partitions: z.number().int().min(1).max(128).default(4),
  log_level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('warn'),
  raw_retention_days: z.number().positive().default(14),
  observed_retention_days: z.number().positive().default(30),
  // Days after a deletion; false: never.
  erase_after_days: z.union([z.literal(false), z.number().min(0)], 'a number of days, or false').default(14),
  diff: z.strictObject({ tracked: z.array(z.string()).default([]) }).default({ tracked: [] }),
  kafka: kafka.optional(),
  postgres: z.string().optional(),
  api_keys: z.array(apiKey).default([]),
  api: api.default({}),
  sources: z.array(source).default([]),
  // Under which providers reach POST /webhooks/<source>; sources that can register their webhooks do so.
  public_url: z.url({ protocol: /^https?$/, error: 'the public URL is a http or https URL' }).optional(),
  sweeps: sweeps.default({ hold_share: 0.3, hold_min: 50 }),
  sandbox: sandbox.default({}),
  spool_bytes_max: z.number().int().min(8_388_608, 'the spool needs 8 MiB or more').default(268_435_456),
})

/** Kafka and PostgreSQL come together: an embedded store cannot be shared by services on several hosts. */
const schema = fields.superRefine(({ mode, ...given }, context) => {
  if (mode !== 'kafka') return
  for (const key of ['kafka', 'postgres'] as const) {
    if (given[key] !== undefined) continue
    context.addIssue({ code: 'custom', path: [key], message: `mode: kafka needs the key "${key}"` })
  }
})

type Values = z.infer<typeof schema>

/** The file that a configuration was read from. */
export interface ConfigFile {
  readonly path: string
  /** Lines of the texts that stand there as they are, neither sealed nor from the environment, by key (`sources[0].api_key`). */
  readonly plain: ReadonlyMap<string, number>
  /** True when every user of this machine may read it. */
  readonly isWorldReadable: boolean
}

export type Config = Values & { readonly data: string; readonly port: number; readonly file?: ConfigFile }
export type SourceConfig = z.infer<typeof source>
export type ApiKeyConfig = Config['api_keys'][number]

/** How long personal data of what was deleted stays in the tables; null: for ever. */
export const erasureAfterMs = ({ erase_after_days: days }: Config): number | null =>
  days === false ? null : days * 86_400_000

export interface ConfigInput {
  /** Command-line values win over the environment, the environment over the file. */
  readonly flags: {
    readonly config?: string | undefined
    readonly data?: string | undefined
    readonly port?: string | undefined
  }
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The configuration with the simulators that `--sandbox` names. Throws CONFIG_INVALID for other names, and beside real sources. */
export function withSandbox(config: Config, names: string | undefined): Config {
  if (names === undefined) return config
  if (config.sources.length > 0)
    throw new TidemarkError(
      'CONFIG_INVALID',
      '--sandbox: the configuration has sources; use another one, or leave them out',
    )
  const given = names.split(',').map((name) => name.trim())
  const wrong = given.find((name) => name !== 'all' && !(SANDBOXES as readonly string[]).includes(name))
  if (wrong !== undefined)
    throw new TidemarkError('CONFIG_INVALID', `--sandbox: there is no "${wrong}"; known: ${SANDBOXES.join(', ')}, all`)
  const providers = SANDBOXES.filter((name) => given.includes('all') || given.includes(name))
  return { ...config, sandbox: { ...config.sandbox, providers } }
}

const DEFAULT_FILE = './tidemark.yaml'

/** The file to read the configuration from; undefined: there is none. */
export const configPath = ({ flags, env }: Pick<ConfigInput, 'flags' | 'env'>): string | undefined =>
  flags.config ?? env['TIDEMARK_CONFIG'] ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined)

/**
 * Reads the configuration. Throws CONFIG_INVALID naming the file, the line and the key of what is wrong, and no value. Without a file the
 * defaults hold: embedded, `./data`, port 8080, and the sandbox as the only source.
 */
export function loadConfig({ flags, env }: ConfigInput): Config {
  const path = configPath({ flags, env })
  const { values, file } = path === undefined ? { values: schema.parse({}) } : readFile(path, env)
  const port = flags.port ?? env['TIDEMARK_PORT']
  return {
    ...values,
    data: flags.data ?? env['TIDEMARK_DATA'] ?? values.data ?? './data',
    port:
      port === undefined
        ? (values.port ?? 8080)
        : parsePort(port, flags.port === undefined ? 'TIDEMARK_PORT' : '--port'),
    ...(file ? { file } : {}),
  }
}

function parsePort(text: string, name: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port >= 0 && port <= 65_535) return port
  throw new TidemarkError('CONFIG_INVALID', `${name}: "${text}" is not a port; give a number from 0 to 65535`, {
    fields: { key: name },
  })
}

/** Text of a configuration file. Throws CONFIG_INVALID. */
export function readConfigText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new TidemarkError('CONFIG_INVALID', `${path} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

const OTHERS_MAY_READ = 0o004

function readFile(
  path: string,
  env: ConfigInput['env'],
): { readonly values: Values; readonly file?: ConfigFile | undefined } {
  const { values, plain } = readConfig(readConfigText(path), path, env)
  // Windows has no such mode and says that everybody may.
  const isWorldReadable = process.platform !== 'win32' && (statSync(path).mode & OTHERS_MAY_READ) !== 0
  return { values, file: { path, plain, isWorldReadable } }
}

/** Parses configuration text; `path` is for messages only. */
export const parseConfig = (text: string, path: string, env: ConfigInput['env']): Values =>
  readConfig(text, path, env).values

function readConfig(
  text: string,
  path: string,
  env: ConfigInput['env'],
): { readonly values: Values; readonly plain: ReadonlyMap<string, number> } {
  const document = parseYaml(text, path)
  const plain = resolveTexts(document, env)
  const result = schema.safeParse(valuesOf(document))
  if (result.success) return { values: refuseDuplicates(result.data, path), plain }
  const [issue] = result.error.issues
  const key = issue?.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] as string] : (issue?.path ?? [])
  const what = issue?.code === 'unrecognized_keys' ? 'unknown key' : (issue?.message ?? 'invalid')
  throw invalid(`${path}:${lineOf(document, key)}: ${keyName(key)}: ${what}`, keyName(key))
}

function refuseDuplicates(config: Values, path: string): Values {
  refuseTwice('sources', config.sources, path, 'sources', 'a name is the path of its webhooks')
  refuseTwice('api_keys', config.api_keys, path, 'API keys', 'a name says in commands and logs whose key it was')
  const hashes = config.api_keys.map(({ hash }) => hash)
  const same = config.api_keys.filter(({ hash }, i) => hashes.indexOf(hash) !== i || hashes.lastIndexOf(hash) !== i)
  if (same.length === 0) return config
  const names = same.map(({ name }) => `"${name}"`).join(' and ')
  throw invalid(`${path}: api_keys: ${names} are the same key; give each a key of its own`, 'api_keys')
}

function refuseTwice(
  key: string,
  items: readonly { readonly name: string }[],
  path: string,
  what: string,
  why: string,
): void {
  const names = items.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw invalid(`${path}: ${key}: two ${what} are named "${twice}"; ${why}`, key)
}

const invalid = (message: string, key: string): TidemarkError =>
  new TidemarkError('CONFIG_INVALID', message, { fields: { key } })
