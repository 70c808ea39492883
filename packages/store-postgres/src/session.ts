import { TidemarkError } from '@tidemark/base'
import type { SqlValue } from '@tidemark/store'
import { type Client, DatabaseError, Pool, type PoolClient, type QueryConfig } from 'pg'
import { SourceFailure } from './copy.ts'
import { failed } from './errors.ts'
import type { Settings } from './options.ts'
import { VALUE_PARSERS } from './values.ts'

/** A server that does not answer is given up this long after it should have cancelled the statement itself. */
const ANSWER_GRACE_MS = 5000
/** PostgreSQL 14, the oldest that is maintained. */
const VERSION_MIN = 140_000

/**
 * What every session begins with. Texts of times, bytes and numbers must not depend on the server's configuration, and what was committed
 * must be on disk; a stronger synchronous_commit than "on" is left as it is.
 */
const SETUP = `SELECT current_setting('server_version_num')::int4 AS version, current_setting('server_encoding') AS encoding,
  set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO', false), set_config('intervalstyle', 'postgres', false),
  set_config('bytea_output', 'hex', false), set_config('extra_float_digits', '1', false), set_config('client_encoding', 'UTF8', false),
  set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
    ELSE current_setting('synchronous_commit') END, false),
  set_config('statement_timeout', $1, false), set_config('idle_in_transaction_session_timeout', $2, false)`

/** A pool whose sessions are set up before they are used. */
export function createPool(settings: Settings): Pool {
  const { connectionsMax, connectTimeoutMs, statementTimeoutMs, applicationName, where } = settings
  const pool = new Pool({
    connectionString: settings.url,
    max: connectionsMax,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: applicationName,
    types: VALUE_PARSERS,
    keepAlive: true,
    ...(statementTimeoutMs > 0 ? { query_timeout: statementTimeoutMs + ANSWER_GRACE_MS } : {}),
    // pg awaits it, whatever its typings say.
    onConnect: (client) => setUp(client as Client, settings) as unknown as undefined,
  })
  // Without a listener it would end the process. The pool has removed the session, and opens another when it is needed.
  pool.on('error', (error) => settings.onSessionLost(failed('(none: the session was idle)', where, error)))
  return pool
}

async function setUp(client: Client, { statementTimeoutMs, idleTransactionTimeoutMs, where }: Settings): Promise<void> {
  const timeouts = [String(statementTimeoutMs), String(idleTransactionTimeoutMs)]
  const [row] = (await client.query<{ version: number; encoding: string }>(SETUP, timeouts)).rows
  if (row && row.version >= VERSION_MIN && row.encoding === 'UTF8') return
  throw new TidemarkError(
    'CONFIG_INVALID',
    `the database ${where} cannot be used: it is PostgreSQL ${Math.floor((row?.version ?? 0) / 10_000)} with encoding ${row?.encoding}. Use ` +
      `PostgreSQL ${VERSION_MIN / 10_000} or newer, and a database made with ENCODING 'UTF8' TEMPLATE template0`,
  )
}

interface Statement extends QueryConfig {
  /** Refuses several statements at once, and always yields one result. */
  readonly queryMode: 'extended'
}

/** A session that is taken out of the pool, until it is released. */
export class Session {
  readonly client: PoolClient
  #lost: Error | undefined
  #broken = false
  #released = false
  readonly #onError = (error: Error): void => {
    this.#lost ??= error
  }

  constructor(client: PoolClient) {
    this.client = client
    // A session may end between two statements; without a listener that would end the process.
    client.on('error', this.#onError)
  }

  /** Runs one statement, prepared under the name if there is one. Throws what pg throws, and why the session ended when it did before. */
  async query(text: string, values: readonly SqlValue[], name?: string): Promise<{ rows: unknown[]; command: string }> {
    const statement: Statement = { text, values: [...values], queryMode: 'extended', ...(name ? { name } : {}) }
    return this.run(() => this.client.query(statement))
  }

  /** Runs `work` on the connection, and notices when it can no longer be used. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#lost) throw this.#lost
    try {
      return await work()
    } catch (error) {
      // A refusal, or a COPY that was called off, leaves the session usable. After anything else, a late answer would be taken for that of
      // the next statement.
      const usable = error instanceof DatabaseError || error instanceof SourceFailure
      if (!usable || this.#lost) this.#broken = true
      throw error instanceof SourceFailure ? error : (this.#lost ?? error)
    }
  }

  /** True when nothing can be asked of it any more. */
  get gone(): boolean {
    return this.#broken || this.#lost !== undefined || this.#released
  }

  /** Gives it back: to the pool when it is idle outside of any transaction, otherwise it is closed, which rolls back. */
  release(): void {
    if (this.#released) return
    const idle = !this.gone && this.client.getTransactionStatus() === 'I'
    this.#released = true
    this.client.release(!idle)
    // The pool listens from here on.
    this.client.off('error', this.#onError)
  }

  /** Closes it in the middle of whatever it does. */
  abort(): void {
    this.#broken = true
    this.release()
  }
}
