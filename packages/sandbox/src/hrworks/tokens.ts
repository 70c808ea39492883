import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from '@tidemark/base'

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** JSON Web Tokens (HS256) for one key pair. */
export class TokenIssuer {
  readonly #clock: Clock
  readonly #lifeMs: number
  readonly #secret: string
  #issued = 0
  /** Tokens with a lower number are refused. */
  #validFrom = 0

  constructor(clock: Clock, lifeMs: number, secret: string) {
    this.#clock = clock
    this.#lifeMs = lifeMs
    this.#secret = secret
  }

  get issued(): number {
    return this.#issued
  }

  issue(): string {
    const nowMs = this.#clock.now()
    const claims = {
      jti: this.#issued++,
      iat: Math.floor(nowMs / 1000),
      exp: Math.floor((nowMs + this.#lifeMs) / 1000),
    }
    const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
    return `${text}.${this.#sign(text)}`
  }

  /** Refuses every token that was issued until now. */
  revoke(): void {
    this.#validFrom = this.#issued
  }

  isValid(authorization: string | undefined): boolean {
    const [, text = '', signature = ''] = /^Bearer ([^.]+\.[^.]+)\.([^.]+)$/.exec(authorization ?? '') ?? []
    const given = Buffer.from(signature)
    const expected = Buffer.from(this.#sign(text))
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return false
    const { exp, jti } = JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString()) as Claims
    return this.#clock.now() < exp * 1000 && jti >= this.#validFrom
  }

  #sign(text: string): string {
    return createHmac('sha256', this.#secret).update(text).digest('base64url')
  }
}

interface Claims {
  readonly exp: number
  readonly jti: number
}
