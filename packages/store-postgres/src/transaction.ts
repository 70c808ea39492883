import type { CopyRows, CopyTarget, Row, SqlRunner, SqlValue } from '@tidemark/store'
import { copyInto, copySql, SourceFailure } from './copy.ts'
import { failed, sqlStateOf } from './errors.ts'
import type { Session } from './session.ts'

/** What a transaction can do here: what the port leaves open is there. */
export interface PostgresRunner extends SqlRunner {
  copyRows(target: CopyTarget, rows: CopyRows): Promise<number>
}

/** The one transaction that runs on a session: its statements one after another, and none before BEGIN or after the end. */
export class Transaction implements PostgresRunner {
  readonly #session: Session
  readonly #where: string
  #last: Promise<unknown> = Promise.resolve()
  #failure: { readonly error: unknown } | undefined
  #ended = false

  constructor(session: Session, where: string) {
    this.#session = session
    this.#where = where
  }

  query<T extends Row = Row>(sql: string, params: readonly SqlValue[] = []): Promise<T[]> {
    return this.#enqueue(sql, async () => (await this.#session.query(sql, params)).rows as T[])
  }

  copyRows(target: CopyTarget, rows: CopyRows): Promise<number> {
    const sql = copySql(target)
    return this.#enqueue(sql, () => this.#session.run(() => copyInto(this.#session.client, sql, rows)))
  }

  /** Runs `work` between BEGIN and COMMIT, or ROLLBACK. The session is released by whoever took it. */
  async execute<T>(work: (tx: PostgresRunner) => Promise<T>): Promise<T> {
    await this.#control('BEGIN ISOLATION LEVEL READ COMMITTED')
    let result: T
    try {
      result = await work(this)
    } catch (error) {
      await this.#end()
      await rollBack(this.#session)
      throw error
    }
    await this.#end()
    if (this.#failure) {
      await rollBack(this.#session)
      throw failed(
        'COMMIT',
        this.#where,
        this.#failure.error,
        ' A statement before failed, so everything was rolled back.',
      )
    }
    await this.#commit()
    return result
  }

  /** No more statements; resolves when those under way have ended. */
  async #end(): Promise<void> {
    this.#ended = true
    await this.#last
  }

  async #commit(): Promise<void> {
    // PostgreSQL answers the COMMIT of a failed transaction with ROLLBACK, and that is no error to it.
    const done = await this.#control('COMMIT')
    if (done !== 'COMMIT') throw failed('COMMIT', this.#where, new Error(`it was answered with ${done}`))
  }

  async #control(sql: string): Promise<string> {
    try {
      return (await this.#session.query(sql, [])).command
    } catch (error) {
      // A session that ended in the middle of it may have ended before or after.
      const unknown = sql === 'COMMIT' && (this.#session.gone || sqlStateOf(error)?.startsWith('57P') === true)
      throw failed(sql, this.#where, error, unknown ? ' Whether it was committed is not known.' : '')
    }
  }

  #enqueue<T>(sql: string, run: () => Promise<T>): Promise<T> {
    if (this.#ended) return Promise.reject(failed(sql, this.#where, new Error('its transaction has ended')))
    const done = this.#last.then(async () => {
      try {
        return await run()
      } catch (error) {
        this.#failure ??= { error: error instanceof SourceFailure ? new Error('the source of a COPY failed') : error }
        throw error instanceof SourceFailure ? error.error : failed(sql, this.#where, error)
      }
    })
    this.#last = done.catch(() => undefined) // Told to the caller by `done`, and kept in #failure.
    return done
  }
}

/** Leaves the session outside of a transaction if that is possible; if not, releasing closes it, and the server rolls back. */
export async function rollBack(session: Session): Promise<void> {
  if (session.gone) return
  await session.query('ROLLBACK', []).catch(() => session.abort())
}
