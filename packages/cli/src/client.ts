import { TidemarkError } from '@tidemark/base'

/** Where a running tidemark listens, and with which key to speak to it. */
export interface Target {
  readonly url: string
  readonly key: string | undefined
  /** Waits so many ms; then requests that are too many wait for their turn instead of failing. */
  readonly wait?: (ms: number) => Promise<void>
}

interface ErrorEnvelope {
  readonly error?: { readonly code?: string | null; readonly message?: string }
}

/** A refusal of the server, with its own words. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string | null

  constructor(status: number, code: string | null, message: string) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.code = code
  }
}

function headers(target: Target, extra: Readonly<Record<string, string>>): Record<string, string> {
  return {
    accept: 'application/json',
    ...(target.key === undefined ? {} : { authorization: `Bearer ${target.key}` }),
    ...extra,
  }
}

/** How often a request that was too many is sent again, and how long it waits at most each time. */
const TURNS_MAX = 5
const TURN_MS_MAX = 60_000

async function request(target: Target, path: string, init: RequestInit): Promise<Response> {
  for (let turn = 1; ; turn++) {
    const response = await send(target, path, init)
    if (response.ok) return response
    const body = (await response.json().catch(() => ({}))) as ErrorEnvelope
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
    const isTooMany = body.error?.code === 'PLATFORM.RATE_LIMIT_EXCEEDED' && seconds >= 0
    if (!isTooMany || !target.wait || turn > TURNS_MAX || init.signal?.aborted) {
      throw new ApiError(response.status, body.error?.code ?? null, body.error?.message ?? `HTTP ${response.status}`)
    }
    await target.wait(Math.min(seconds * 1000, TURN_MS_MAX))
  }
}

async function send(target: Target, path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(new URL(path, target.url), init)
  } catch (error) {
    if (init.signal?.aborted) throw error
    const cause =
      (error as Error).cause instanceof Error ? ((error as Error).cause as Error).message : (error as Error).message
    throw new TidemarkError(
      'PROVIDER_UNAVAILABLE',
      `no tidemark answers at ${target.url} (${cause}); start it with: npm start, or name another with --url`,
      { cause: error },
    )
  }
}

/** GET of a JSON document; throws ApiError for refusals and PROVIDER_UNAVAILABLE when nobody listens. */
export async function getJson<T>(
  target: Target,
  path: string,
  extra: Readonly<Record<string, string>> = {},
): Promise<T> {
  const response = await request(target, path, { headers: headers(target, extra) })
  return (await response.json()) as T
}

/** POST of a JSON document. */
export async function postJson<T>(
  target: Target,
  path: string,
  body: unknown,
  extra: Readonly<Record<string, string>> = {},
): Promise<T> {
  const response = await request(target, path, {
    method: 'POST',
    headers: headers(target, { 'content-type': 'application/json', ...extra }),
    body: JSON.stringify(body),
  })
  return (await response.json()) as T
}

export interface ServerEvent {
  readonly id: string | undefined
  readonly event: string
  readonly data: string
}

/** Lines of one event are bounded: a server that never ends a line must not fill the memory. */
const EVENT_BYTES_MAX = 16 * 1024 * 1024

/** Server-Sent Events of one connection, until it ends or the signal aborts. */
export async function* streamEvents(
  target: Target,
  path: string,
  options: { readonly lastEventId?: string | undefined; readonly signal: AbortSignal; readonly onOpen?: () => void },
): AsyncGenerator<ServerEvent> {
  const extra = {
    accept: 'text/event-stream',
    ...(options.lastEventId === undefined ? {} : { 'last-event-id': options.lastEventId }),
  }
  const response = await request(target, path, { headers: headers(target, extra), signal: options.signal })
  options.onOpen?.()
  const parser = createEventParser()
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) yield* parser(decoder.decode(chunk as Uint8Array, { stream: true }))
}

/** Takes text in any cuts and returns the events that are complete (WHATWG HTML, section 9.2.6). */
export function createEventParser(): (text: string) => ServerEvent[] {
  let rest = ''
  let id: string | undefined
  let event = ''
  let data: string[] = []
  return (text) => {
    const events: ServerEvent[] = []
    rest += text
    if (rest.length > EVENT_BYTES_MAX)
      throw new TidemarkError('PROVIDER_ANSWER_INVALID', 'the server sent an event without end')
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) events.push({ id, event: event || 'message', data: data.join('\n') })
        event = ''
        data = []
        continue
      }
      const colon = line.indexOf(':')
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'data') data.push(value)
      else if (field === 'event') event = value
      else if (field === 'id' && !value.includes('\0')) id = value
    }
    return events
  }
}

/** Lines of a streamed answer to a POST. */
export async function* postStream(target: Target, path: string, signal: AbortSignal): AsyncGenerator<string> {
  const response = await request(target, path, { method: 'POST', headers: headers(target, {}), signal })
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of response.body ?? []) {
    rest += decoder.decode(chunk as Uint8Array, { stream: true })
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    yield* lines.filter((line) => line !== '')
  }
}
