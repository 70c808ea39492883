/** Requests to the ATS behind an integration, through Kombo's own passthrough. */
import { TidemarkError } from '@tidemark/base'
import type { Passthrough, PassthroughAnswer, PassthroughOptions, PassthroughRequest } from '@tidemark/connector'
import { type HttpAnswer, type Judgement, parseJson } from '@tidemark/connector/http'
import { isJson } from '@tidemark/connector/mapping'
import {
  bodyText,
  callerHeaders,
  checkTarget,
  type Relay,
  relay,
  requestInvalid,
  shownHeaders,
} from '@tidemark/connector/passthrough'
import { authHeaders } from './auth.ts'
import { errorEnvelope, judge } from './errors.ts'
import type { KomboOptions } from './options.ts'

/** What Kombo calls tools and APIs. */
const SLUG = /^[A-Za-z0-9][\w.-]{0,99}$/

/**
 * Kombo knows the APIs of its tools, their base URLs and credentials. What it is asked to send on is checked here as if it were sent from here, and
 * what it sends back is rid of the credentials that it put into the URL.
 */
export function createPassthrough(link: Relay, options: KomboOptions): Passthrough {
  return { apis: null, send: (sending) => send(link, options, sending) }
}

async function send(link: Relay, options: KomboOptions, sending: PassthroughOptions): Promise<PassthroughAnswer> {
  const { tool, api, integrationId, request } = sending
  if (!SLUG.test(tool) || !SLUG.test(api)) throw requestInvalid(`Kombo has no API "${tool}/${api}".`)
  checkTarget(request)
  const body = bodyOf(request)
  const what = `${request.method} of ${integrationId} (passthrough to ${tool}/${api})`
  const url = `${options.baseUrl}/passthrough/${tool}/${api}`
  return relay(link, sending, { what, url, body, headers: authHeaders(options, integrationId) }, (answer) =>
    read(answer, what, request),
  )
}

/** In Kombo's words; what was not given is left to Kombo. */
function bodyOf(request: PassthroughRequest): object {
  const { method, path, params, data, parts, responseAsBase64, apiOptions } = request
  // Says at once what could not be written as JSON.
  bodyText(data)
  return {
    // Behind a base URL without slash a path without one would go on with the name of the host.
    ...{ method, path: path.startsWith('/') ? path : `/${path}`, headers: callerHeaders(request.headers), params },
    ...(data === undefined ? {} : { data }),
    ...(responseAsBase64 ? { response_as_base64: true } : {}),
    ...(parts === undefined ? {} : { multipart_form_data: parts.map(partOf) }),
    ...(Object.keys(apiOptions).length === 0 ? {} : { api_options: apiOptions }),
  }
}

function partOf({ name, value }: NonNullable<PassthroughRequest['parts']>[number]): object {
  if (typeof value === 'string') return { name, value }
  const { contentType, data, dataUrl } = value
  return { name, value: { name: value.name, content_type: contentType, data, data_url: dataUrl } }
}

function read(answer: HttpAnswer, what: string, request: PassthroughRequest): Judgement<PassthroughAnswer> {
  const { status } = answer
  const json = parseJson(answer.body)
  if (status >= 200 && status < 300 && errorEnvelope(json) === null) {
    const value = answerIn(json, request)
    if (value) return { kind: 'done', value }
    const message = `${what}: Kombo answered ${status} with something else than an answer of the ATS.`
    return { kind: 'retry', error: new TidemarkError('PROVIDER_ANSWER_INVALID', message, { fields: { status } }) }
  }
  return refusal(answer, json, what)
}

/** Kombo did not do what was asked, or got no answer of the ATS: for one who waits. */
export function refusal({ status }: HttpAnswer, json: unknown, what: string): Judgement<never> {
  const envelope = errorEnvelope(json)
  const said = envelope ? ` (${[envelope.code, envelope.message].filter(Boolean).join(': ')})` : ''
  const message = `${what}: Kombo answered ${status}${said}.`
  const fields = { status, provider_code: envelope?.code ?? null }
  const verdict = judge({ route: what, status, json })
  if (verdict.kind === 'not_offered')
    return { kind: 'fail', error: new TidemarkError('PROVIDER_REFUSED', message, { fields }) }
  const code = envelope?.code === 'PLATFORM.INPUT_INVALID' ? 'REQUEST_INVALID' : verdict.error.code
  return { kind: verdict.kind, error: new TidemarkError(code, message, { fields }) }
}

function answerIn(json: unknown, request: PassthroughRequest): PassthroughAnswer | undefined {
  const data = isJson(json) ? json['data'] : undefined
  if (!isJson(json) || !isJson(data)) return undefined
  const { url, status, headers } = data
  if (typeof url !== 'string' || !Number.isInteger(status) || !isJson(headers)) return undefined
  const warnings = Array.isArray(json['warnings']) ? json['warnings'] : []
  const texts = Object.entries(headers).map(([name, value]): [string, string] => [name, [value].flat().join(', ')])
  return {
    url: shownUrl(url, request),
    status: Number(status),
    headers: shownHeaders(Object.fromEntries(texts)),
    data: data['data'] ?? '',
    warnings: warnings.flatMap((each: unknown) => (isJson(each) ? [String(each['message'])] : [])),
  }
}

/** Some ATSs are given their key in the URL: what the caller did not send is not shown. */
function shownUrl(text: string, { path, params }: PassthroughRequest): string {
  const url = URL.parse(text)
  if (url === null) return text.split('?')[0] ?? ''
  const sent = new URLSearchParams(path.split('?')[1] ?? '')
  const added = new Set([...url.searchParams.keys()].filter((name) => !sent.has(name) && !Object.hasOwn(params, name)))
  for (const name of added) url.searchParams.set(name, '***')
  url.username = ''
  url.password = ''
  return url.href
}
