import { setImmediate as nextTurn } from 'node:timers/promises'
import { openTail, type Tail } from '@tidemark/log'
import type { ModelName } from '@tidemark/model'
import { changeJsonText, type Payload } from '@tidemark/projection'
import type { ApiDeps } from '../deps.ts'
import type { Display, Displayed } from './display.ts'
import { createMerge, type FeedItem } from './merge.ts'
import type { FeedRequest, FeedStart } from './selection.ts'
import type { Sink } from './sink.ts'

/** Records taken before what they gave is written. */
const ROUND_MAX = 128
/** Records and bytes buffered per partition: what bounds a client's memory, slow or not. */
const TAIL = { recordsMax: 16, bytesMax: 16_384 } as const
/** Text written at once: what a slow client may hold beside the socket's own buffer. */
const CHUNK_CHARS = 65_536

export interface FeedOptions {
  readonly heartbeatMs: number
  readonly stallMs: number
}

interface Pending {
  readonly id: string
  readonly item: FeedItem
}

/**
 * Sends changes until the client goes or the signal aborts. Reading is driven by the log's waiting fetches and held back by the
 * client: at any time it holds one round of changes and one chunk of text.
 */
export async function runFeed(
  deps: ApiDeps,
  request: FeedRequest,
  start: FeedStart,
  sink: Sink,
  display: Display,
  options: FeedOptions,
): Promise<void> {
  const tail = openTail(deps.log, start.starts, TAIL)
  const state = { flushed: true }
  const position = (): string => start.codec.encode(tail.readers.map((reader) => reader.position))
  try {
    // An id without data sets the client's last event id, so that even a client that saw nothing resumes exactly here.
    await sink.write(`retry: 1000\nid: ${position()}\n\n`)
    const beating = heartbeats(deps, sink, options, () => (state.flushed ? position() : undefined))
    await follow(deps, request, start, sink, display, tail, state, position)
    sink.end()
    await beating
  } finally {
    sink.end()
    await tail.close()
  }
}

async function follow(
  deps: ApiDeps,
  request: FeedRequest,
  { models }: FeedStart,
  sink: Sink,
  display: Display,
  tail: Tail,
  state: { flushed: boolean },
  position: () => string,
): Promise<void> {
  const merge = createMerge(tail, models, deps.codec)
  while (!sink.closed.aborted) {
    const pending: Pending[] = []
    state.flushed = false
    const taken = await merge.pump(ROUND_MAX, (item) => {
      if (item.kind === 'change' && !request.wants(item.model, item.change)) return
      pending.push({ id: position(), item })
    })
    if (pending.length > 0) await send(deps, request, sink, pending, request.display ? display : undefined)
    state.flushed = true
    if (taken > 0) continue
    if (!(await tail.ready(sink.closed))) return
    // What was appended together wakes several readers; the others have theirs by the next turn, and can be put in order.
    await nextTurn()
  }
}

async function send(
  deps: ApiDeps,
  request: FeedRequest,
  sink: Sink,
  pending: readonly Pending[],
  display: Display | undefined,
): Promise<void> {
  const changes = pending.flatMap(({ item }) => (item.kind === 'change' ? [item] : []))
  const shown = display ? await display(changes, request.allows) : undefined
  let text = ''
  for (const { id, item } of pending) {
    text +=
      item.kind === 'change' ? changeEvent(deps, id, item, request.payload, shown) : undecodableEvent(deps, id, item)
    if (text.length < CHUNK_CHARS) continue
    await sink.write(text)
    text = ''
  }
  if (text !== '') await sink.write(text)
}

type ChangeItem = Extract<FeedItem, { kind: 'change' }>

function changeEvent(
  deps: ApiDeps,
  id: string,
  item: ChangeItem,
  payload: Payload,
  shown: ReadonlyMap<unknown, Displayed> | undefined,
): string {
  try {
    const json = oneLine(changeJsonText(item.model as ModelName, item.change, payload))
    const display = shown?.get(item.change)
    const data = display ? `${json.slice(0, -1)},"display":${JSON.stringify(display)}}` : json
    return `id: ${id}\nevent: change\ndata: ${data}\n\n`
  } catch (error) {
    const { event_id, integration_id, version } = item.change
    deps.logger.error({ err: error, event_id, model: item.model }, 'a change cannot be shown as JSON')
    const data = { model: item.model, event_id, integration_id, id: item.change.id, version, message: String(error) }
    return `id: ${id}\nevent: undecodable\ndata: ${JSON.stringify(data)}\n\n`
  }
}

/** A line break would end the event. JSON has none but between its tokens, where canonical text has none either. */
function oneLine(json: string): string {
  return /[\n\r]/.test(json) ? JSON.stringify(JSON.parse(json)) : json
}

function undecodableEvent(deps: ApiDeps, id: string, item: Extract<FeedItem, { kind: 'undecodable' }>): string {
  const { topic, partition } = item.reader
  deps.logger.error({ err: item.error, topic, partition, offset: item.offset }, 'a change cannot be decoded')
  const data = { topic, partition, offset: item.offset, code: item.error.code, message: item.error.message }
  return `id: ${id}\nevent: undecodable\ndata: ${JSON.stringify(data)}\n\n`
}

/**
 * Keeps the connection and the client's position fresh, and gives up on a client that has taken nothing for too long. `position` is
 * undefined while changes are on their way to the client.
 */
async function heartbeats(
  { clock }: ApiDeps,
  sink: Sink,
  { heartbeatMs, stallMs }: FeedOptions,
  position: () => string | undefined,
): Promise<void> {
  for (;;) {
    await clock.sleep(heartbeatMs, sink.closed)
    if (sink.closed.aborted) return
    if (sink.blocked) {
      if (clock.now() - sink.blockedSince >= stallMs) sink.end(true)
      continue
    }
    const id = position()
    await sink.write(id === undefined ? ': heartbeat\n\n' : `id: ${id}\n: heartbeat\n\n`)
  }
}
