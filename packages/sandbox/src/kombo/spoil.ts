import type { FastifyReply } from 'fastify'
import type { FaultSpec } from '../faults.ts'
import { Refusal } from './errors.ts'
import { rateHeaders } from './rate-limit.ts'

/** An answer that is ready to be sent. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' }

/** A success or error answer with a JSON body. */
export function jsonAnswer(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers: { ...JSON_TYPE, ...headers }, body }
}

/** What a fault answers without looking at the request; undefined when it spoils the true answer instead. */
export function faultAnswer(fault: FaultSpec, limit: number, interactionId: string): Answer | undefined {
  switch (fault.kind) {
    case 'rate_limited': {
      const refusal = new Refusal(
        'PLATFORM.RATE_LIMIT_EXCEEDED',
        'You have sent too many requests. Wait for the reset.',
      )
      const headers = rateHeaders(limit, 0, fault.resetSeconds ?? 1)
      return jsonAnswer(refusal.status, refusal.body(interactionId), headers)
    }
    case 'server_error': {
      const refusal = new Refusal('PLATFORM.UNKNOWN_ERROR', 'Something went wrong on our side.')
      return jsonAnswer(refusal.status, refusal.body(interactionId))
    }
    case 'html_bad_gateway':
      return {
        status: 502,
        headers: { 'content-type': 'text/html' },
        body: '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center></body>\r\n</html>\r\n',
      }
    case 'empty_body':
      return jsonAnswer(200, '')
    default:
      return undefined
  }
}

/** Breaks a good answer: half of its JSON, or one record that cannot be mapped. */
export function spoilBody(answer: Answer, fault: FaultSpec): Answer {
  if (fault.kind === 'malformed_json')
    return { ...answer, body: answer.body.slice(0, Math.floor(answer.body.length / 2)) }
  if (fault.kind !== 'unmappable_record') return answer
  const page = JSON.parse(answer.body) as { data?: { results?: Record<string, unknown>[] } }
  const record = page.data?.results?.[fault.index ?? 0]
  if (record) record[fault.field ?? 'changed_at'] = fault.value ?? '0000-00-00T00:00:00.000Z'
  return { ...answer, body: JSON.stringify(page) }
}

/** Sends an answer, or the beginning of it, over a connection that is then cut. */
export function cutConnection(reply: FastifyReply, fault: FaultSpec, answer: Answer | undefined): void {
  reply.hijack()
  const { raw } = reply
  if (fault.kind === 'cut_before_headers' || !answer) {
    raw.destroy()
    return
  }
  const body = Buffer.from(answer.body)
  raw.writeHead(answer.status, { ...answer.headers, 'content-length': body.length })
  raw.write(body.subarray(0, Math.floor(body.length / 2)), () => raw.destroy())
}
