import { DatabaseError } from 'pg'

/** Every session keeps each of them prepared until it ends: texts beyond this are planned anew each time. */
const NAMES_MAX = 50
/** Texts that are counted at once. */
const COUNTED_MAX = 1000
/** So many times a text is planned anew: most never come as often. */
const TIMES_BEFORE = 3

/** Names of statements that the sessions keep prepared, by their text. */
export class PreparedNames {
  readonly #names = new Map<string, string>()
  readonly #counts = new Map<string, number>()
  #made = 0

  /** Counts a use of the text. undefined: it is not to be prepared. */
  use(sql: string): string | undefined {
    const known = this.#names.get(sql)
    if (known !== undefined || this.#names.size >= NAMES_MAX) return known
    const count = (this.#counts.get(sql) ?? 0) + 1
    if (count <= TIMES_BEFORE) {
      if (this.#counts.size >= COUNTED_MAX) this.#counts.clear()
      this.#counts.set(sql, count)
      return undefined
    }
    this.#counts.delete(sql)
    const name = `tidemark_${++this.#made}`
    this.#names.set(sql, name)
    return name
  }

  /** It is prepared under another name when it comes again. */
  forget(sql: string): void {
    this.#names.delete(sql)
  }
}

/** "cached plan must not change result type", and "prepared statement does not exist": PostgreSQL says so before it begins. */
export const isOutdated = (error: unknown): boolean =>
  error instanceof DatabaseError && (error.code === '0A000' || error.code === '26000')
