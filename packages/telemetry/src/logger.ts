import { createRedactor } from '@tidemark/base'
import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger }

/** Header and option names that are never written, at any depth that occurs in our log lines. */
const REDACT = [
  ...['api_key', 'second_api_key', 'webhook_secret', 'client_secret', 'access_key', 'secret_access_key'],
  ...['apiKey', 'secondApiKey', 'webhookSecret', 'clientSecret', 'accessKey', 'secretAccessKey'],
  ...['secret', 'password', 'token', 'access_token', 'authorization', 'cookie', 'set-cookie', 'x-api-key'],
  ...['x-kombo-signature', 'x-knit-signature', 'x-hrworks-signature'],
]

export interface LoggerOptions {
  readonly level: string
  readonly destination?: DestinationStream
  /** Texts that are replaced wherever they stand in a line: what others say may hold them. */
  readonly secrets?: readonly string[]
}

/** JSON lines on stderr (stdout belongs to the CLI's output). Secrets are redacted by name, and those that are known by their text. */
export function createLogger({ level, destination, secrets = [] }: LoggerOptions): Logger {
  const paths = REDACT.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`])
  return pino(
    {
      ...{ level, redact: { paths, censor: '[redacted]' }, base: null },
      hooks: { streamWrite: createRedactor(secrets) },
    },
    destination ?? pino.destination({ fd: 2, sync: true }),
  )
}

/** Writes nothing; for tests and libraries without a logger. */
export const silentLogger: Logger = pino({ level: 'silent' })
