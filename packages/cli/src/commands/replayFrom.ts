import { TidemarkError } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { PROCESSOR_GROUP } from '@tidemark/diff-processor'
import { INGRESS_GROUP } from '@tidemark/ingress'
import type { EventLog } from '@tidemark/log'
import { COMMANDS_TOPIC, changesTopic, MODEL_NAMES, RAW_TOPIC } from '@tidemark/model'
import type { Config } from '../config.ts'
import { loggerOf } from '../logger.ts'
import type { CommandContext, CommandResult, Output } from '../program.ts'
import { createProgressLine } from '../progressLine.ts'
import { hasEmbeddedLog, openBackend } from '../runtime/backend.ts'
import { printable, type TopicReader, topicReader } from '../topicReader.ts'

export interface ReplayFromFlags {
  /** ISO time, offset, `earliest` or `latest`. */
  readonly from: string
  /** Moves this group instead of printing. */
  readonly group?: string
  readonly topic: readonly string[]
  readonly model: readonly string[]
}

interface Place {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Where the partition ended when the replay began. */
  readonly end: number
}

/** What ingress reads; reading it again is harmless, its events are known by their ids. */
const INGRESS_TOPICS: readonly string[] = [RAW_TOPIC, COMMANDS_TOPIC]

/**
 * Prints the records of topics from a time or offset to their present end as JSON lines, or sets the positions of a consumer group there.
 * Exit code 0 when all of it was printed or set.
 */
export async function replayFromCommand(
  context: CommandContext,
  config: Config,
  flags: ReplayFromFlags,
): CommandResult {
  requireMovable(flags)
  if (config.mode === 'embedded' && !hasEmbeddedLog(config.data)) {
    throw invalid(`there is no tidemark data in ${config.data}; name it with --data`)
  }
  // The embedded log can be read while another process writes it; positions are that process's to write.
  const readOnly = flags.group === undefined
  const logger = loggerOf(config)
  const backend = await openBackend(config, { clock: context.clock, logger, readOnly })
  try {
    const { log } = backend
    const places = await placesOf(log, await topicsOf(log, flags), flags.from)
    if (flags.group !== undefined) return await moveGroup(context, log, flags.group, places)
    const read = topicReader(await openCodec(backend.registry))
    return await printAll(context, log, places, read)
  } finally {
    await backend.close()
  }
}

function requireMovable({ group, topic, model }: ReplayFromFlags): void {
  if (group === PROCESSOR_GROUP) {
    throw invalid(`--group: ${group} is tidemark's own; its position belongs to what it has written`)
  }
  if (group !== INGRESS_GROUP) return
  if (topic.length === 0 || model.length > 0 || topic.some((name) => !INGRESS_TOPICS.includes(name))) {
    throw invalid(
      `--group: ${group} is tidemark's own; name what it is to read again: ${INGRESS_TOPICS.map((name) => `--topic ${name}`).join(' or ')}`,
    )
  }
}

async function topicsOf(log: EventLog, { topic, model }: ReplayFromFlags): Promise<Map<string, number>> {
  const known: readonly string[] = MODEL_NAMES
  const wrong = model.find((name) => !known.includes(name))
  if (wrong !== undefined) throw invalid(`--model: there is no model "${wrong}"; known: ${known.join(', ')}`)
  const models = model.length > 0 || topic.length > 0 ? model : known
  const wanted = [...topic, ...models.map((name) => changesTopic(name as (typeof MODEL_NAMES)[number]))]
  const partitions = new Map((await log.listTopics()).map((spec) => [spec.name, spec.partitions]))
  return new Map(
    wanted.map((name) => {
      const count = partitions.get(name)
      if (count === undefined) throw invalid(`--topic: there is no topic "${name}"`)
      return [name, count]
    }),
  )
}

async function placesOf(log: EventLog, topics: ReadonlyMap<string, number>, from: string): Promise<Place[]> {
  const all = [...topics].flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  )
  return Promise.all(
    all.map(async ({ topic, partition }) => {
      const { start, end } = await log.bounds(topic, partition)
      const offset = await offsetOf(log, topic, partition, from, { start, end })
      return { topic, partition, offset, end }
    }),
  )
}

async function offsetOf(
  log: EventLog,
  topic: string,
  partition: number,
  from: string,
  { start, end }: { readonly start: number; readonly end: number },
): Promise<number> {
  if (from === 'earliest') return start
  if (from === 'latest') return end
  if (/^\d{1,15}$/.test(from)) {
    const offset = Number(from)
    if (offset < start) {
      const message = `--from: ${topic}/${partition} begins at ${start}; retention removed what was before. Give a time, a later offset or earliest`
      throw new TidemarkError('OFFSET_OUT_OF_RANGE', message, { fields: { topic, partition, offset } })
    }
    return Math.min(offset, end)
  }
  const timeMs = Date.parse(from)
  if (Number.isNaN(timeMs)) {
    throw invalid(`--from: "${from}" is neither an offset, a time like 2026-11-21T08:00:00Z, earliest nor latest`)
  }
  return log.offsetAt(topic, partition, timeMs)
}

async function moveGroup(
  { print, note, style }: CommandContext,
  log: EventLog,
  group: string,
  places: readonly Place[],
): Promise<number> {
  for (const topic of new Set(places.map((place) => place.topic))) {
    const positions = places.filter((place) => place.topic === topic)
    await log.commitPositions(group, topic, new Map(positions.map(({ partition, offset }) => [partition, offset])))
    for (const { partition, offset, end } of positions) print(JSON.stringify({ group, topic, partition, offset, end }))
  }
  const records = places.reduce((sum, { offset, end }) => sum + end - offset, 0)
  note(style.green(`${group} will read ${records.toLocaleString('en-US')} offsets again`))
  return 0
}

async function printAll(
  context: CommandContext,
  log: EventLog,
  places: readonly Place[],
  read: TopicReader,
): Promise<number> {
  const line = createProgressLine(context)
  const total = places.reduce((sum, { offset, end }) => sum + end - offset, 0)
  let done = 0
  for (const { topic, partition, offset: from, end } of places) {
    for (let offset = from; offset < end; ) {
      if (context.signal.aborted) return 1
      const { records, nextOffset } = await log.fetch({ topic, partition, offset, recordsMax: 1000 })
      for (const record of records) {
        if (record.offset >= end) break
        await written(context.io.stdout, `${JSON.stringify(printable(topic, partition, record, read))}\n`)
      }
      done += Math.min(nextOffset, end) - offset
      offset = nextOffset
      if (context.io.stdout.isTTY !== true) line.update({ done, total, unit: 'records', text: topic })
    }
  }
  line.end()
  return 0
}

/** Waits for a slow reader of the pipe instead of filling the memory. */
async function written(out: Output, text: string): Promise<void> {
  if (!out.write(text) && out.once) await new Promise<void>((resolve) => out.once?.('drain', resolve))
}

const invalid = (message: string): TidemarkError => new TidemarkError('CONFIG_INVALID', message)
