import { diffRecords } from '@tidemark/diff'
import { type FieldChange, MODEL_SCHEMAS, type ModelName } from '@tidemark/model'
import { fieldJsonTexts, recordFromRow } from '@tidemark/projection'

type Row = Readonly<Record<string, unknown>>

/** What several changes of a record come to. `unchanged`: its values went back. */
export type NetOp = 'created' | 'updated' | 'deleted' | 'restored' | 'anonymized' | 'merged' | 'purged' | 'unchanged'

export interface NetChange {
  readonly op: NetOp
  /** Field changes from the one state to the other, as in a change; of a record that was not there before, every value is added. */
  readonly changes: readonly {
    readonly path: string
    readonly op: string
    readonly before: unknown
    readonly after: unknown
  }[]
}

/** Fields that are not compared unless an installation says so stay out, as they do in changes. */
const TRACKED: ReadonlySet<string> = new Set()

/**
 * The difference between two states of a record, as rows of its table; `before` is undefined when it had not been observed. `ops` are the
 * operations of the changes in between. Pure.
 */
export function netChange(model: ModelName, before: Row | undefined, after: Row, ops: readonly string[]): NetChange {
  const changes = before ? difference(model, before, after) : additions(model, after)
  return {
    op: netOp(before, after, changes.length > 0, ops),
    changes: changes.map(({ path, op, before: from, after: to }) => ({
      path,
      op,
      before: from === null ? null : JSON.parse(from),
      after: to === null ? null : JSON.parse(to),
    })),
  }
}

function difference(model: ModelName, before: Row, after: Row): readonly FieldChange[] {
  const [from, to] = [recordFromRow(model, before), recordFromRow(model, after)] as unknown as [Row, Row]
  return diffRecords(MODEL_SCHEMAS[model], from, to, TRACKED)
}

const additions = (model: ModelName, after: Row): FieldChange[] =>
  fieldJsonTexts(model, recordFromRow(model, after)).map(([name, text]) => ({
    path: `/${name}`,
    op: 'add',
    before: null,
    after: text,
  }))

const isGone = (row: Row): boolean => (row['remote_deleted_at'] ?? null) !== null
const mergedInto = (row: Row | undefined): unknown => row?.['merged_into_id'] ?? null

function netOp(before: Row | undefined, after: Row, differs: boolean, ops: readonly string[]): NetOp {
  if (after['op'] === 'purged' && before?.['op'] !== 'purged') return 'purged'
  if (mergedInto(after) !== null && mergedInto(after) !== mergedInto(before)) return 'merged'
  const wasGone = before !== undefined && isGone(before)
  if (isGone(after)) {
    // What came and went in between is gone too.
    if (!wasGone) return 'deleted'
  } else if (wasGone) {
    return 'restored'
  } else if (!before) {
    return 'created'
  }
  if (!differs) return 'unchanged'
  return ops.includes('anonymized') ? 'anonymized' : 'updated'
}
