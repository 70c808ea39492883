/**
 * The event log: topics of ordered, durable partitions. Embedded (LMDB) and Kafka implement it alike.
 *
 * Guarantees every adapter gives, each a case of the contract suite (`@tidemark/log/contract`):
 * - Offsets of a partition rise by one per record from 0. They may have holes in Kafka (control records) and after
 *   compaction; a reader goes on at `nextOffset`, never at "last + 1 of what I counted".
 * - `append` resolves after all records are durable (fsync, or acks=all), and is all or nothing: after a rejection none
 *   of them is readable (embedded), or the batch's fate is unknown and the caller appends again (Kafka; documented there).
 * - Records of one call and partition keep their order and get neighbouring offsets.
 * - Readers see only committed records.
 */

export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  readonly cleanup: 'delete' | 'compact'
  /** Milliseconds a record is kept; null keeps it for ever. */
  readonly retentionMs: number | null
}

/** What an existing topic has that the spec does not ask for. Reported, never altered. */
export interface TopicDifference {
  readonly topic: string
  readonly setting: 'partitions' | 'cleanup' | 'retentionMs'
  readonly expected: string
  readonly found: string
}

export interface AppendRecord {
  readonly topic: string
  readonly partition: number
  readonly key: Uint8Array | null
  /** null is a tombstone. */
  readonly value: Uint8Array | null
  readonly timestampMs: number
}

export interface LogRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

export interface FetchRequest {
  readonly topic: string
  readonly partition: number
  /** First offset wanted. At the end of the log it waits; outside the retained range it throws OFFSET_OUT_OF_RANGE. */
  readonly offset: number
  /** Soft bound: at least one record is returned when there is one. Default 10,000. */
  readonly recordsMax?: number
  /** Soft bound over keys and values. Default 4 MiB. */
  readonly bytesMax?: number
  /** How long to wait for the first record when there is none. Default 0. */
  readonly waitMs?: number
  /** Ends the wait early, with an empty result. */
  readonly signal?: AbortSignal
}

export interface FetchResult {
  /** Keys and values stay valid for as long as they are held; copy what is kept for long, they may pin a larger buffer. */
  readonly records: readonly LogRecord[]
  /** Where the next fetch goes on. */
  readonly nextOffset: number
  /** The offset the next appended record would get, as seen by this fetch. */
  readonly endOffset: number
}

export interface Bounds {
  /** First retained offset. */
  readonly start: number
  /** Offset of the next record. */
  readonly end: number
}

export interface EventLog {
  /** Creates missing topics; reports how existing ones differ. A different partition count throws TOPIC_MISMATCH. */
  ensureTopics(specs: readonly TopicSpec[]): Promise<TopicDifference[]>
  /** All topics, in name order. */
  listTopics(): Promise<TopicSpec[]>
  /** Returns the offset of each record, in the order given. Throws TOPIC_UNKNOWN, RECORD_TOO_LARGE (nothing is written). */
  append(records: readonly AppendRecord[]): Promise<number[]>
  fetch(request: FetchRequest): Promise<FetchResult>
  /** Throws TOPIC_UNKNOWN. */
  bounds(topic: string, partition: number): Promise<Bounds>
  /** First offset whose timestamp is at or after `timestampMs`, or the end. */
  offsetAt(topic: string, partition: number, timestampMs: number): Promise<number>
  /** Committed positions of a group in a topic: partition to next offset. Partitions without one are absent. */
  positions(group: string, topic: string): Promise<Map<number, number>>
  /** Durable when it resolves. */
  commitPositions(group: string, topic: string, positions: ReadonlyMap<number, number>): Promise<void>
  /** Takes a partition over for exactly-once processing; see {@link Task}. */
  openTask(options: TaskOptions): Promise<Task>
  /**
   * Shares the partitions of a topic among the members of a group: of this process and, in Kafka, of others. Resolves when its signal
   * aborts and `onAssigned` has ended; rejects with what `onAssigned` threw, or TOPIC_UNKNOWN.
   */
  assignments(options: AssignmentOptions): Promise<void>
  /** Ends waiting fetches, then releases everything. Later calls throw LOG_CLOSED. */
  close(): Promise<void>
}

export interface AssignmentOptions {
  /** The group whose members share the partitions of the topic. */
  readonly group: string
  readonly topic: string
  /** Ends the membership. */
  readonly signal: AbortSignal
  /**
   * Works on its partitions until its signal aborts: they are somebody else's from then on. Called again with each new assignment, never
   * twice at once; with none when there are more members than partitions.
   */
  onAssigned(partitions: readonly number[], signal: AbortSignal): Promise<void>
  /** Where members are processes: one that is silent for longer is dead. Brokers allow 6 s and more. Default 10 s. */
  readonly sessionTimeoutMs?: number
  /** How long `onAssigned` may take to end; then the group goes on without it, and fencing makes it harmless. Default half a session. */
  readonly revokeTimeoutMs?: number
}

export interface TaskOptions {
  /** The processing group; with topic and partition it names the task, and a newer owner fences an older one. */
  readonly group: string
  readonly topic: string
  readonly partition: number
}

/**
 * Exactly-once processing of one input partition: outputs, the input position and local state move together or not at all.
 *
 * - Opening fences: any earlier Task of the same name then throws TASK_FENCED from `commit`.
 * - After a rejected commit the task is dead, whatever the reason: close it, open another, go on from its `position`.
 * - `state` shows what was committed, never more.
 */
export interface Task {
  /** Next input offset; the one after the last committed. 0 for a new task. */
  readonly position: number
  readonly state: StateReader
  /** Atomically appends outputs, applies state writes and moves the position. Resolves with the outputs' offsets when durable. */
  commit(slice: Slice): Promise<number[]>
  close(): Promise<void>
}

export interface Slice {
  readonly outputs: readonly AppendRecord[]
  readonly state: readonly StateWrite[]
  /** Next input offset after this slice; must not be below the current one. */
  readonly position: number
}

export interface StateWrite {
  readonly key: Uint8Array
  /** null deletes. */
  readonly value: Uint8Array | null
}

/** Key-value state in key byte order. Reads are synchronous: they come from memory-mapped files on a hot path. */
export interface StateReader {
  /** The value, or undefined. The bytes are valid only until the next call on this state: copy what is kept. */
  get(key: Uint8Array): Buffer | undefined
  /** Entries whose key begins with the prefix, in key order. Copies, safe to keep. */
  scan(prefix: Uint8Array): Iterable<{ readonly key: Buffer; readonly value: Buffer }>
}

/**
 * A durable key-value cache with the source position it reflects, for services that fold a topic (ingress watermarks, processor
 * state on Kafka). Position and writes move in one local transaction.
 */
export interface StateStore extends StateReader {
  /** Source position the state reflects; 0 when new. */
  readonly position: number
  /** Applies writes and the position atomically; durable when resolved. Later writes of the same key in one call win. */
  apply(writes: readonly StateWrite[], position: number): Promise<void>
  /** Forgets everything, position 0. */
  clear(): Promise<void>
  close(): Promise<void>
}
