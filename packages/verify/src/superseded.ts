import { changesTopic, type ModelName } from '@tidemark/model'
import { erasedDigest } from './content.ts'
import type { PastRow, ProjectionReader } from './projection.ts'
import type { Findings } from './report.ts'

/** A version that a later change of its record superseded. */
export interface SupersededVersion {
  readonly key: string
  readonly version: number
  /** See contentDigest. */
  readonly digest: string
  /** Offset of the change that superseded it, and when that was observed. */
  readonly offset: number
  readonly endsAtMs: number
}

export interface SupersededCheck {
  /** To be told of every change, in the order of the log: `left` is what it superseded, if anything. */
  change(key: string, changedAtMs: number, left: SupersededVersion | undefined): Promise<void>
  /** Compares what is left; returns the number of versions compared. */
  end(): Promise<number>
}

interface Context {
  readonly model: ModelName
  readonly partition: number
  /** Change offset up to which the tables are known to hold everything. */
  readonly position: number
  readonly findings: Findings
}

const VERSIONS_PER_QUERY = 1_000

/** A row that ends before the change that superseded it: right only if a later change of the record was observed earlier. */
interface Early {
  readonly version: SupersededVersion
  readonly endsAtMs: number
}

/**
 * Compares superseded versions with the rows that hold them, a batch at a time. A version ends at the earliest time of any later version of
 * its record, so a row may end before its successor's time; then a later change must have that time.
 */
export function createSupersededCheck(projection: ProjectionReader, context: Context): SupersededCheck {
  const { model, partition, position, findings } = context
  const early = new Map<string, Early[]>()
  let waiting = new Map<string, SupersededVersion[]>()
  let waitingCount = 0
  let compared = 0

  const fail = ({ key, offset }: SupersededVersion, message: string): void =>
    findings.add({ check: 'projection', topic: changesTopic(model), partition, offset, key, message })

  const compare = (version: SupersededVersion, row: PastRow | undefined): void => {
    const what = `the row of superseded version ${version.version}`
    if (row === undefined) {
      fail(version, `${what} is not there`)
      return
    }
    const digest = row.erased ? erasedDigest(model, version.digest) : version.digest
    if (row.digest !== digest) fail(version, `${what} does not hold what that version left`)
    if (row.endsAtMs > version.endsAtMs) fail(version, `${what} ends after the version that followed`)
    if (row.endsAtMs < version.endsAtMs)
      early.set(version.key, [...(early.get(version.key) ?? []), { version, endsAtMs: row.endsAtMs }])
  }

  const flush = async (): Promise<void> => {
    const versions = [...waiting.values()].flat()
    waiting = new Map()
    waitingCount = 0
    if (versions.length === 0) return
    const rows = await projection.past(model, versions)
    for (const version of versions) compare(version, rows.get(pastRowKey(version)))
    compared += versions.length
  }

  /** What a change says of earlier versions of its record: they ended with it at the latest. */
  const endAt = (key: string, atMs: number): void => {
    const known = waiting.get(key)
    if (known)
      waiting.set(
        key,
        known.map((version) => ({ ...version, endsAtMs: Math.min(version.endsAtMs, atMs) })),
      )
    const unexplained = early.get(key)?.filter(({ endsAtMs }) => endsAtMs !== atMs)
    if (unexplained?.length === 0) early.delete(key)
    else if (unexplained) early.set(key, unexplained)
  }

  return {
    async change(key, changedAtMs, left) {
      endAt(key, changedAtMs)
      if (!left || left.offset >= position) return
      waiting.set(key, [...(waiting.get(key) ?? []), left])
      if (++waitingCount >= VERSIONS_PER_QUERY) await flush()
    },
    async end() {
      await flush()
      for (const list of early.values())
        for (const { version } of list)
          fail(version, `the row of superseded version ${version.version} ends before any version that followed`)
      return compared
    },
  }
}

/** Names a version among rows. */
export const pastRowKey = ({ key, version }: { readonly key: string; readonly version: number }): string =>
  `${version} ${key}`
