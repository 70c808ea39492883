/** For the API's tests: a client of Server-Sent Events that reads only when asked to. */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'

export interface FeedEvent {
  readonly id: string | undefined
  readonly event: string
  // biome-ignore lint/suspicious/noExplicitAny: events are looked into freely by tests
  readonly data: any
}

export interface FeedClient {
  readonly response: IncomingMessage
  /** Id the client would resume with. */
  readonly lastEventId: string | undefined
  /** Comments seen. */
  readonly comments: readonly string[]
  /** Reads until this many events were seen in all, or the stream ends. */
  read(count: number): Promise<FeedEvent[]>
  /** Reads until the condition holds, or the stream ends. */
  until(condition: () => boolean): Promise<void>
  close(): void
}

export async function openFeed(url: string, headers: Record<string, string> = {}): Promise<FeedClient> {
  const { request, response } = await connect(url, headers)
  const chunks = response[Symbol.asyncIterator]()
  const events: FeedEvent[] = []
  const comments: string[] = []
  let rest = ''
  let lastEventId: string | undefined
  const take = (block: string): void => {
    let event = 'message'
    let data: string | undefined
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) comments.push(line.slice(1).trim())
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? []
      if (name === 'id') lastEventId = value
      if (name === 'event') event = value ?? ''
      if (name === 'data') data = `${data === undefined ? '' : `${data}\n`}${value}`
    }
    if (data !== undefined) events.push({ id: lastEventId, event, data: JSON.parse(data) })
  }
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) {
      const { done, value } = await chunks.next().catch(() => ({ done: true, value: undefined }))
      if (done) return
      const blocks = (rest + String(value)).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) take(block)
    }
  }
  return {
    response,
    comments,
    get lastEventId() {
      return lastEventId
    },
    until,
    async read(count) {
      await until(() => events.length >= count)
      return events
    },
    close: () => request.destroy(),
  }
}

function connect(
  url: string,
  headers: Record<string, string>,
): Promise<{ request: ClientRequest; response: IncomingMessage }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { headers, agent: false })
    request.once('response', (response) => {
      response.setEncoding('utf8')
      if (response.statusCode === 200) resolve({ request, response })
      else reject(new Error(`HTTP ${response.statusCode}`))
    })
    request.once('error', reject)
    request.end()
  })
}
