import type { ModelName } from '@tidemark/model'
import { checkSchemaName, type LiveTimes } from '@tidemark/projection'
import type { ProjectorDeps } from '../projector.ts'

/** What a rebuild needs; `schema` is the live one. */
export type RebuildDeps = Omit<ProjectorDeps, 'options'>

export interface RebuildOptions {
  /** Stops it after the transactions under way; another call goes on from there. */
  readonly signal?: AbortSignal
  /** Told four times a second at most, and when the phase changes. */
  readonly onProgress?: (progress: RebuildProgress) => void
  /** Throws an unfinished rebuild away and begins again. Default false. */
  readonly restart?: boolean
  /** Goes on where the log no longer has the first changes; what they wrote is missing then. Default false: it is refused. */
  readonly acceptGaps?: boolean
  /** Transactions that write beside each other, where the store has COPY; each has its partitions. Default 2. */
  readonly lanes?: number
  /** From a record's deletion until its personal data is erased, in ms; null: never. As the projector has it. Default 14 days. */
  readonly erasureAfterMs?: number | null
  /** Changes per transaction at most. Default 5,000 with COPY, 2,000 without. */
  readonly batchMax?: number
  /** Bytes of encoded changes held at once, over all lanes, about. Default 16 MiB. */
  readonly bufferBytesMax?: number
}

export type RebuildPhase = 'filling' | 'indexing' | 'catching up' | 'switching' | 'dropping'

export interface RebuildProgress {
  readonly phase: RebuildPhase
  /** Offsets of the changes topics passed, including those of earlier runs. */
  readonly done: number
  readonly total: number
  /** Changes a second, over the last ten seconds. */
  readonly perSecond: number
  /** Time until all changes are passed at this rate, in ms; null while it is not known. */
  readonly leftMs: number | null
  /** Indexes and statistics made, while indexing. */
  readonly steps: { readonly done: number; readonly total: number } | null
}

/** Changes that the log no longer has: offsets `from` up to, not including, `to`. */
export interface Gap {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
}

export interface RebuildResult {
  /**
   * `switched`: the rebuilt tables are the live ones. `stopped`: by the signal. `finished`: an earlier run had switched and was ended
   * before it dropped the old tables; that was done now, nothing was rebuilt.
   */
  readonly outcome: 'switched' | 'stopped' | 'finished'
  /** Changes passed by this run, and those of them that cannot be projected. */
  readonly passed: number
  readonly failed: number
  readonly gaps: readonly Gap[]
  readonly elapsedMs: number
  /** Why the old tables are still there, as schema `<live>_old`; null when they are gone. */
  readonly oldKept: string | null
}

/** Names of the schemas a rebuild works with. */
export interface Schemas {
  readonly live: string
  readonly next: string
  readonly old: string
}

/** Throws CONFIG_INVALID when the name is too long for what is appended. */
export function schemasOf(live: string): Schemas {
  return { live: checkSchemaName(live), next: checkSchemaName(`${live}_next`), old: checkSchemaName(`${live}_old`) }
}

/** The part of a rebuild that lasts from its preparation to its end or failure. */
export interface Attempt {
  readonly deps: RebuildDeps
  readonly schemas: Schemas
  readonly signal: AbortSignal
  /** True when rows are copied, and secondary indexes made afterwards. */
  readonly bulk: boolean
  readonly lanes: number
  readonly batchMax: number
  readonly bufferBytesMax: number
  /** Models with a live table whose times are kept. */
  readonly liveModels: ReadonlyMap<ModelName, LiveTimes>
  readonly erasureAfterMs: number | null
  readonly progress: RebuildMeter
  /** Changes that cannot be projected, so far. */
  readonly failed: { changes: number }
}

/** Counts, and tells the caller. */
export interface RebuildMeter {
  phase(phase: RebuildPhase, steps?: number): void
  step(): void
  /** Offsets passed already and in all. */
  expect(done: number, total: number): void
  passed(offsets: number, changes: number): void
  readonly changes: number
}
