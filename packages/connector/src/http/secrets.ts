/** Providers repeat what they were sent when they explain a failure. Nothing of ours may come back that way, into messages, logs and ats.raw. */
import { createRedactor, TidemarkError } from '@tidemark/base'
import type { HttpAnswer, Judgement } from './client.ts'

type Redact = (text: string) => string

/** Replaces the secrets of a source, and what a request was authorized with. */
export class AnswerRedactor {
  readonly #secrets: readonly string[]
  /** Of what every request shares. */
  readonly secrets: Redact
  #credentials = ''
  #redact: Redact

  constructor(secrets: readonly string[]) {
    this.#secrets = secrets
    this.secrets = createRedactor(secrets)
    this.#redact = this.secrets
  }

  /** For answers to a request with these headers. */
  of(headers: Readonly<Record<string, string>>): Redact {
    const credentials = headers['authorization'] ?? ''
    if (credentials !== this.#credentials) {
      this.#credentials = credentials
      this.#redact = createRedactor([...this.#secrets, ...credentials.split(' ')])
    }
    return this.#redact
  }
}

const FAILURES_FROM = 400

/** Without secrets in the headers, nor in the body of a failure. Any other body is data of the provider and stays as it was received. */
export function redactAnswer(answer: HttpAnswer, redact: Redact): HttpAnswer {
  const headers = redactTexts(answer.headers, redact)
  if (answer.status < FAILURES_FROM) return { ...answer, headers }
  // Byte by byte, so that everything else stays as it was, in whatever encoding.
  const body = Buffer.from(answer.body).toString('latin1')
  const redacted = redact(body)
  return { ...answer, headers, body: redacted === body ? answer.body : Buffer.from(redacted, 'latin1') }
}

/** Without secrets in what it tells: some failures come with status 200. */
export function redactJudgement<T>(judgement: Judgement<T>, redact: Redact): Judgement<T> {
  if (judgement.kind === 'done') return judgement
  const { code, message, cause, fields } = judgement.error
  const details = { fields: redactTexts(fields, redact), ...(cause === undefined ? {} : { cause }) }
  return { ...judgement, error: new TidemarkError(code, redact(message), details) }
}

const redactTexts = <T>(record: Readonly<Record<string, T>>, redact: Redact): Record<string, T> =>
  Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, typeof value === 'string' ? (redact(value) as T) : value]),
  )
