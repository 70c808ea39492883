import { TidemarkError } from '@tidemark/base'

export interface PostgresOptions {
  /**
   * `postgres://user:password@host:port/database`, as libpq and pg read it; what its query string sets (`sslmode=verify-full`,
   * `application_name`) has precedence over these options.
   */
  readonly url: string
  /** Sessions open at once, at most. Default 10. */
  readonly connectionsMax?: number
  /** Calls that wait for a session, at most; one more is refused with OVERLOADED. Default 1000. */
  readonly waitingMax?: number
  /** How long a call waits for a session before it fails, in ms. Default 10,000. */
  readonly connectTimeoutMs?: number
  /**
   * How long one statement may take, in ms; 0 is without limit. Default 60,000. The server cancels it then; a server that does not answer
   * is given up 5 s later.
   */
  readonly statementTimeoutMs?: number
  /**
   * How long a transaction may pause between two statements, in ms; 0 is without limit. Default 60,000. The server ends its session then, so
   * that a process that is stopped or cut off does not hold its locks.
   */
  readonly idleTransactionTimeoutMs?: number
  /** How long `close` waits for what is running before it cuts it off, in ms. Default 10,000. */
  readonly closeTimeoutMs?: number
  /** How the sessions call themselves in `pg_stat_activity`. Default `tidemark`. */
  readonly applicationName?: string
  /** Told when a session ended while nobody used it, and when the server cannot be reached at open; for the service's log. */
  readonly onSessionLost?: (error: TidemarkError) => void
}

export type Settings = Required<PostgresOptions> & {
  /** The database in words, without user and password. */
  readonly where: string
}

/** Options with their defaults. Throws CONFIG_INVALID, without the URL, for one that is none. */
export function settingsOf(options: PostgresOptions): Settings {
  return {
    connectionsMax: 10,
    waitingMax: 1000,
    connectTimeoutMs: 10_000,
    statementTimeoutMs: 60_000,
    idleTransactionTimeoutMs: 60_000,
    closeTimeoutMs: 10_000,
    applicationName: 'tidemark',
    onSessionLost: () => undefined,
    ...options,
    where: describeUrl(options.url),
  }
}

function describeUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !['postgres:', 'postgresql:'].includes(url.protocol)) {
    throw new TidemarkError(
      'CONFIG_INVALID',
      'the PostgreSQL URL cannot be read: write postgres://user:password@host:5432/database, with special characters of the password ' +
        'percent-encoded',
    )
  }
  const host = url.hostname || url.searchParams.get('host') || 'localhost'
  return `${host}:${url.port || url.searchParams.get('port') || 5432}${url.pathname}`
}
