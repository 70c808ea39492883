import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '@tidemark/base'

const LIFETIME_MS = 30 * 86_400_000
const TOKENS_MAX = 1000

/** `unknown`: missing, invalid or expired. */
export type Grant = { readonly scopes: ReadonlySet<string> } | 'unknown'

/** Access tokens of one API client: 30 days, or until they are revoked. */
export class TokenIssuer {
  readonly #clock: Clock
  readonly #clientId: string
  readonly #clientSecret: string
  readonly #tokens = new Map<string, { readonly scopes: ReadonlySet<string>; readonly expiresAtMs: number }>()
  /** What an administrator allowed the client. */
  scopes: ReadonlySet<string>
  issued = 0

  constructor(clock: Clock, clientId: string, clientSecret: string, scopes: Iterable<string>) {
    this.#clock = clock
    this.#clientId = clientId
    this.#clientSecret = clientSecret
    this.scopes = new Set(scopes)
  }

  /** The body of an answer to `POST /oauth2/token`; null when the client is refused. A scope that the client lacks is not granted. */
  issue(fields: Readonly<Record<string, unknown>>): object | null {
    const isKnown =
      fields['client_id'] === this.#clientId && isEqual(String(fields['client_secret']), this.#clientSecret)
    if (!isKnown || fields['grant_type'] !== 'client_credentials') return null
    const asked = String(fields['scope'] ?? '').split(' ')
    const scopes = new Set(asked.filter((scope) => this.scopes.has(scope)))
    const token = randomBytes(20).toString('hex')
    this.#tokens.set(token, { scopes, expiresAtMs: this.#clock.now() + LIFETIME_MS })
    if (this.#tokens.size > TOKENS_MAX) this.#tokens.delete([...this.#tokens.keys()][0] as string)
    this.issued++
    return {
      access_token: token,
      expires_in: LIFETIME_MS / 1000,
      token_type: 'Bearer',
      scope: [...scopes].join(' '),
    }
  }

  /** What the bearer of an `Authorization` header may do: what was granted, as far as it is still allowed. */
  grantOf(authorization: string | undefined): Grant {
    const token = this.#tokens.get(/^Bearer (\S+)$/.exec(authorization ?? '')?.[1] ?? '')
    if (!token || token.expiresAtMs <= this.#clock.now()) return 'unknown'
    return { scopes: new Set([...token.scopes].filter((scope) => this.scopes.has(scope))) }
  }

  /** Makes every token unknown. */
  revoke(): void {
    this.#tokens.clear()
  }
}

function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}
