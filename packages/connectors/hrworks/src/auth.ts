/** Tokens of HR WORKS: a JWT for a key pair, valid for about 15 minutes. */
import { type Clock, TidemarkError } from '@tidemark/base'
import {
  type HttpAnswer,
  type HttpClient,
  insteadOfJson,
  type Judgement,
  parseJson,
  type Token,
  Tokens,
} from '@tidemark/connector/http'
import { judgeFailure, saidBy } from './errors.ts'
import { isJson } from './json.ts'
import type { HrworksOptions } from './options.ts'

/** A token with less time left is replaced before it is used. */
const RENEW_BEFORE_MS = 60_000

/** Keeps the token of a source. Getting one throws PROVIDER_AUTHENTICATION when the key pair is refused. */
export function createTokens(options: HrworksOptions, http: HttpClient, clock: Clock): Tokens {
  return new Tokens({ clock, renewBeforeMs: RENEW_BEFORE_MS, mint: (signal) => mint(options, http, signal) })
}

async function mint(options: HrworksOptions, http: HttpClient, signal: AbortSignal): Promise<Token> {
  const what = `POST /authentication of ${options.integration}`
  const request = {
    method: 'POST',
    url: `${options.baseUrl}/authentication`,
    what,
    headers: async () => ({ accept: 'application/json', 'content-type': 'application/json' }),
    body: JSON.stringify({ accessKey: options.accessKey, secretAccessKey: options.secretAccessKey }),
    signal,
  } as const
  return await http.send(request, (answer) => judgeToken(answer, what))
}

function judgeToken(answer: HttpAnswer, what: string): Judgement<Token> {
  if (answer.status === 401 || answer.status === 403) return { kind: 'fail', error: refused(answer, what) }
  const json = parseJson(answer.body)
  if (answer.status !== 200) return judgeFailure(answer, json, what)
  const value = isJson(json) ? json['token'] : undefined
  const expiresAtMs = typeof value === 'string' ? tokenExpiryMs(value) : undefined
  if (typeof value === 'string' && expiresAtMs !== undefined) return { kind: 'done', value: { value, expiresAtMs } }
  const came = json === undefined ? `with ${insteadOfJson(answer)}` : 'without a token that says when it expires'
  const message = `${what}: HR WORKS answered ${came}. It is tried again; check base_url if it repeats.`
  return { kind: 'retry', error: new TidemarkError('PROVIDER_ANSWER_INVALID', message) }
}

function refused(answer: HttpAnswer, what: string): TidemarkError {
  const said = saidBy(parseJson(answer.body))
  return new TidemarkError(
    'PROVIDER_AUTHENTICATION',
    `${what}: HR WORKS answered ${answer.status}${said}. Check access_key and secret_access_key of this source, or create a new key pair.`,
    { fields: { status: answer.status } },
  )
}

/**
 * When a JWT expires, in ms: `exp` (seconds) of its payload; undefined when it says nothing readable. The signature is
 * not ours to check.
 */
export function tokenExpiryMs(jwt: string): number | undefined {
  const payload = parseJson(Buffer.from(jwt.split('.')[1] ?? '', 'base64url'))
  const exp = isJson(payload) ? payload['exp'] : undefined
  return typeof exp === 'number' && Number.isFinite(exp) && exp > 0 ? exp * 1000 : undefined
}
