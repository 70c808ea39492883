import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger }

/** Header and option names that are never written, at any depth that occurs in our log lines. */
const REDACT = [
  'api_key',
  'webhook_secret',
  'authorization',
  'secret',
  'password',
  'client_secret',
  'access_key',
  'secret_access_key',
  'x-kombo-signature',
]

/** JSON lines on stderr (stdout belongs to the CLI's output). Secrets are redacted by name. */
export function createLogger(options: { readonly level: string; readonly destination?: DestinationStream }): Logger {
  const paths = REDACT.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`])
  return pino(
    { level: options.level, redact: { paths, censor: '[redacted]' }, base: null },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  )
}

/** Writes nothing; for tests and libraries without a logger. */
export const silentLogger: Logger = pino({ level: 'silent' })
