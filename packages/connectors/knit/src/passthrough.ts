/** Requests to the ATS behind an integration, through Knit's own passthrough. */
import { TidemarkError } from '@tidemark/base'
import type { Passthrough, PassthroughAnswer, PassthroughOptions, PassthroughRequest } from '@tidemark/connector'
import { type HttpAnswer, type Judgement, parseJson } from '@tidemark/connector/http'
import {
  bodyText,
  callerHeaders,
  type Relay,
  relay,
  requestInvalid,
  shownHeaders,
  targetUrl,
  textData,
} from '@tidemark/connector/passthrough'
import { authHeaders, INTEGRATION_HEADER } from './auth.ts'
import { judge, saidIn } from './errors.ts'
import { isJson } from './json.ts'
import type { KnitOptions } from './options.ts'

/** There is one API behind an integration, and Knit gives it no name. */
const API = 'default'

/** Stands for the ATS, whose address only Knit knows. */
const SOMEWHERE = 'https://ats.invalid'

const UNTOLD = 'Knit does not tell the status with which the ATS answered; 200 stands for it.'

/**
 * Knit knows the base URL and the credentials of the connected ATS. Bodies are texts both ways (documented by an example), so neither forms nor
 * bytes can be sent; headers are sent on under `headers` (inferred).
 */
export function createPassthrough(link: Relay, options: KnitOptions): Passthrough {
  return { apis: [API], send: (sending) => send(link, options, sending) }
}

async function send(link: Relay, options: KnitOptions, sending: PassthroughOptions): Promise<PassthroughAnswer> {
  const { api, integrationId, request } = sending
  if (api !== API) throw requestInvalid(`Knit has no API "${api}"; the one of an integration is called ${API}.`)
  if (Object.keys(request.apiOptions).length > 0) throw requestInvalid('api_options: Knit has none; leave them out.')
  if (request.parts) throw requestInvalid('multipart_form_data: the passthrough of Knit sends texts only; use data.')
  const { pathname, search } = targetUrl(SOMEWHERE, request)
  const what = `${request.method} ${pathname} of ${integrationId} (passthrough)`
  const relayed = {
    ...{ what, url: `${options.baseUrl}/passthrough`, headers: authHeaders(options, integrationId) },
    body: bodyOf(request, pathname, search),
  }
  return relay(link, sending, relayed, (answer) => read(answer, what, `${pathname}${search}`, request))
}

/** Parameters of the path go where Knit has a place for parameters; those that are repeated stay in the path. */
function bodyOf(request: PassthroughRequest, pathname: string, search: string): object {
  const params = new URLSearchParams(search)
  const isRepeated = [...params.keys()].length > new Set(params.keys()).size
  const headers = callerHeaders(request.headers, [INTEGRATION_HEADER])
  const body = bodyText(request.data)
  return {
    method: request.method,
    path: isRepeated ? `${pathname}${search}` : pathname,
    params: isRepeated ? {} : Object.fromEntries(params),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(body === null ? {} : { body }),
  }
}

function read(
  answer: HttpAnswer,
  what: string,
  url: string,
  request: PassthroughRequest,
): Judgement<PassthroughAnswer> {
  const { status } = answer
  const json = parseJson(answer.body)
  const data = isJson(json) ? json['data'] : undefined
  const response = isJson(data) ? data['response'] : undefined
  // What the ATS said is the answer, whatever Knit makes of it.
  if (isJson(response)) return { kind: 'done', value: answerIn(response, status, url, request) }
  const said = saidIn(json)
  const message = `${what}: Knit answered ${status}${said === null ? ' without an answer of the ATS' : ` (${said})`}.`
  const failed = (code: 'PROVIDER_REFUSED' | 'PROVIDER_ANSWER_INVALID'): TidemarkError =>
    new TidemarkError(code, message, { fields: { status } })
  if (status >= 200 && status < 300) {
    const isRefusal = isJson(json) && json['success'] === false
    if (isRefusal) return { kind: 'fail', error: failed('PROVIDER_REFUSED') }
    return { kind: 'retry', error: failed('PROVIDER_ANSWER_INVALID') }
  }
  const { kind, error } = judge({ what, status, json })
  return { kind, error: new TidemarkError(error.code, message, { fields: { status } }) }
}

function answerIn(
  response: Readonly<Record<string, unknown>>,
  outer: number,
  url: string,
  { responseAsBase64 }: PassthroughRequest,
): PassthroughAnswer {
  // Neither status nor headers are in Knit's example; they are read where they are (inferred).
  const told = [response['status'], response['statusCode']].find((value) => Number.isInteger(value))
  const isFailure = outer < 200 || outer > 299
  const given = isJson(response['headers']) ? response['headers'] : {}
  const texts = Object.entries(given).map(([name, value]): [string, string] => [name, [value].flat().join(', ')])
  const headers = shownHeaders(Object.fromEntries(texts))
  return {
    url,
    status: told === undefined ? (isFailure ? outer : 200) : Number(told),
    headers,
    data: dataOf(response['body'], headers['content-type'], responseAsBase64),
    warnings: told === undefined && !isFailure ? [UNTOLD] : [],
  }
}

/** A body that does not say what it is, is JSON if it reads as an object or a list. */
function dataOf(body: unknown, contentType: string | undefined, asBase64: boolean): unknown {
  if (body === undefined || body === null) return ''
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  if (asBase64) return Buffer.from(text).toString('base64')
  const type = contentType ?? (typeof body !== 'string' || /^\s*[[{]/.test(text) ? 'application/json' : undefined)
  return textData(text, type)
}
