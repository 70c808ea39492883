import type { Clock } from '@tidemark/base'

export interface Token {
  readonly value: string
  /** In ms; not used in its last `renewBeforeMs`. */
  readonly expiresAtMs: number
}

export interface TokenOptions {
  readonly clock: Clock
  /** A token with less time left than this is replaced before it is used. */
  readonly renewBeforeMs: number
  /**
   * Gets a new token; what it throws is thrown to all who wait for it. It is for all of them, so none of their signals ends it: it must end by
   * itself. The signal it is given never aborts.
   */
  readonly mint: (signal: AbortSignal) => Promise<Token>
}

/** Keeps one token of a source, gets it once for all who ask at the same time, and replaces it when it is about to expire or was refused. */
export class Tokens {
  readonly #options: TokenOptions
  #token: Token | undefined
  #minting: Promise<Token> | undefined

  constructor(options: TokenOptions) {
    this.#options = options
  }

  /** A token that has not expired. Throws what minting throws, and the signal's reason on abort. */
  async get(signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    const { clock, renewBeforeMs } = this.#options
    if (this.#token && this.#token.expiresAtMs - clock.now() > renewBeforeMs) return this.#token.value
    this.#minting ??= this.#mint()
    return (await unlessAborted(signal, this.#minting)).value
  }

  /** The provider refused this token: the next one who asks gets another. True when it was the current one. */
  forget(value: string): boolean {
    if (this.#token?.value !== value) return false
    this.#token = undefined
    return true
  }

  async #mint(): Promise<Token> {
    try {
      this.#token = await this.#options.mint(new AbortController().signal)
      return this.#token
    } finally {
      this.#minting = undefined
    }
  }
}

async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
    // Others may wait for it, or nobody any more.
    work.catch(() => undefined)
  }
}
