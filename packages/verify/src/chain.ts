import type { Change, Codec } from '@tidemark/codec'
import { diffRecords } from '@tidemark/diff'
import type { LogRecord } from '@tidemark/log'
import { type FieldChange, MODEL_SCHEMAS, type ModelName, parseRecordKey } from '@tidemark/model'
import { contentDigest } from './content.ts'
import type { CheckName, Findings } from './report.ts'

/** What is remembered of a record while its topic is walked. */
export interface Last {
  readonly version: number
  readonly digest: string
  readonly offset: number
}

/** A change that could be read: what it left, and when it was observed. */
export interface Checked extends Last {
  readonly changedAtMs: number
}

/** Where the walk stands in one partition: event ids rise with the observed position, which makes them unique. */
interface Cursor {
  observedOffset: number
  ids: Set<string>
}

export interface ChainContext {
  readonly codec: Codec
  readonly findings: Findings
  readonly model: ModelName
  readonly topic: string
  readonly partition: number
  readonly tracked: ReadonlySet<string>
}

/** Checks the changes of one model and partition, fed in order, for the keys it is asked about. */
export function createChainChecker(context: ChainContext): {
  /** Returns nothing for a change that cannot be read. */
  check(record: LogRecord, key: string, last: Last | undefined): Checked | undefined
} {
  const cursor: Cursor = { observedOffset: -1, ids: new Set() }
  return {
    check(record, key, last) {
      const fail = (check: CheckName, message: string): void =>
        context.findings.add({
          check,
          topic: context.topic,
          partition: context.partition,
          offset: record.offset,
          key,
          message,
        })
      let change: Change
      try {
        change = context.codec.decodeChange(context.model, record.value as Buffer)
      } catch (error) {
        fail('decodable', (error as Error).message)
        return undefined
      }
      checkChain(change, last, context.model, fail)
      checkDiff(change, context, fail)
      checkEvent(change, key, cursor, context, fail)
      if ((change.op === 'deleted' || change.op === 'merged') && change.cause.evidence === null) {
        fail('evidence', `${change.op} in version ${change.version} without evidence`)
      }
      const digest = contentDigest(context.model, change.after)
      return { version: change.version, digest, offset: record.offset, changedAtMs: change.changed_at }
    },
  }
}

type Fail = (check: CheckName, message: string) => void

function checkChain(change: Change, last: Last | undefined, model: ModelName, fail: Fail): void {
  const expected = (last?.version ?? 0) + 1
  if (change.version !== expected) fail('versions', `version ${change.version} where ${expected} was due`)
  const before = contentDigest(model, change.before)
  if (before !== (last?.digest ?? '')) {
    fail('chain', `before version ${change.version} is not what version ${last?.version ?? 0} left`)
  }
}

function checkDiff(change: Change, { model, tracked }: ChainContext, fail: Fail): void {
  const [before, after] = [change.before, change.after] as unknown as (Readonly<Record<string, unknown>> | null)[]
  const expected = before && after ? diffRecords(MODEL_SCHEMAS[model], before, after, tracked) : []
  if (textOf(expected) !== textOf(change.changes)) {
    fail(
      'diff',
      `version ${change.version} lists ${change.changes.length} field changes, before and after differ in ${expected.length}`,
    )
  }
}

const textOf = (changes: readonly FieldChange[]): string =>
  JSON.stringify(changes.map((c) => [c.path, c.op, c.before, c.after]))

function checkEvent(change: Change, key: string, cursor: Cursor, { partition, model }: ChainContext, fail: Fail): void {
  const { observed } = change.cause
  const base = `${observed.partition}-${observed.offset}`
  if (change.event_id !== base && change.event_id !== `${base}-${change.id}`)
    fail('events', `event id ${change.event_id} does not name observation ${base}`)
  if (observed.partition !== partition)
    fail('events', `event ${change.event_id} comes from partition ${observed.partition}`)
  if (observed.offset < cursor.observedOffset)
    fail('events', `event ${change.event_id} comes after observation ${cursor.observedOffset}`)
  if (observed.offset !== cursor.observedOffset) cursor.ids.clear()
  if (cursor.ids.has(change.event_id)) fail('events', `event id ${change.event_id} is there twice`)
  cursor.ids.add(change.event_id)
  cursor.observedOffset = Math.max(cursor.observedOffset, observed.offset)
  const parts = parseRecordKey(key)
  if (parts?.model !== model || parts.integrationId !== change.integration_id)
    fail('events', `event ${change.event_id} lies under a key of another record`)
}
