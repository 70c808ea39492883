import { type Clock, TidemarkError } from '@tidemark/base'
import {
  type HttpAnswer,
  type HttpClient,
  type Judgement,
  parseJson,
  type Token,
  Tokens,
} from '@tidemark/connector/http'
import { isJson } from '@tidemark/connector/mapping'
import { answerInvalid, credentialsRefused, judge } from './errors.ts'
import { textOf } from './json.ts'
import type { TraffitOptions } from './options.ts'

/** A token is replaced when it has less than this left; a request never lasts longer. */
const RENEW_BEFORE_MS = 600_000
/** What TRAFFIT grants, for an answer that does not say it. */
const LIFETIME_SECONDS = 2_592_000

interface AuthDeps {
  readonly http: HttpClient
  readonly clock: Clock
  /** Aborts when the source is closed. A token is for all who wait, so that no single one of them ends its minting. */
  readonly closing: AbortSignal
}

/**
 * Tokens of the tenant by client credentials (`POST /oauth2/token`). There are no refresh tokens, so one that is about to expire or was refused is
 * minted again. Throws PROVIDER_AUTHENTICATION where the client is refused.
 */
export function createTokens(options: TraffitOptions, deps: AuthDeps): Tokens {
  return new Tokens({ clock: deps.clock, renewBeforeMs: RENEW_BEFORE_MS, mint: () => mint(options, deps) })
}

function mint(options: TraffitOptions, { http, closing }: AuthDeps): Promise<Token> {
  return http.send(
    {
      method: 'POST',
      url: `${options.baseUrl}/oauth2/token`,
      what: 'POST /oauth2/token',
      headers: async () => ({ 'content-type': 'application/json', accept: 'application/json' }),
      body: JSON.stringify({
        grant_type: 'client_credentials',
        client_id: options.clientId,
        client_secret: options.clientSecret,
        scope: options.scopes.join(' '),
      }),
      signal: closing,
    },
    readToken,
  )
}

function readToken(answer: HttpAnswer): Judgement<Token> {
  const json = parseJson(answer.body)
  const { status } = answer
  if (status === 400 || status === 401 || status === 403)
    return { kind: 'fail', error: credentialsRefused(status, json) }
  const value = isJson(json) ? textOf(json['access_token']) : null
  if (status === 200 && json !== undefined && value === null)
    return { kind: 'retry', error: answerInvalid('POST /oauth2/token', 'TRAFFIT answered 200 without a token') }
  if (status !== 200 || value === null) return judge('POST /oauth2/token', answer, json)
  const seconds = isJson(json) && typeof json['expires_in'] === 'number' ? json['expires_in'] : LIFETIME_SECONDS
  return { kind: 'done', value: { value, expiresAtMs: answer.requestedAtMs + seconds * 1000 } }
}

/** What a request gets that was waiting for a token when the source was closed. */
export const sourceClosed = (): TidemarkError =>
  new TidemarkError('PROVIDER_UNAVAILABLE', 'The source was closed while a token of TRAFFIT was asked for.')
