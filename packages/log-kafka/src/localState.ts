import { mkdirSync, rmSync } from 'node:fs'
import { classify, lmdbReason, TidemarkError } from '@tidemark/base'
import type { StateReader, StateWrite } from '@tidemark/log'
import { type Database, open as openLmdb, type RootDatabase } from 'lmdb'

/** What a state reflects. */
export interface StateMark {
  /** The cluster whose log it reflects; of another one it is worthless. Empty where no log is involved. */
  readonly clusterId: string
  /** Source position. */
  readonly position: number
  /** By state topic: the next offset that is not in the state yet. */
  readonly restored: Readonly<Record<string, number>>
  /** False while it is being restored, and what it shows is of no moment. */
  readonly complete: boolean
  /** Entries were written that no topic holds: without this state the task cannot go on. */
  readonly irreplaceable: boolean
  /** When it was last written, to judge whether a compacted topic still holds the tombstones since then. */
  readonly writtenAtMs: number
}

const KEY_BYTES_MAX = 1900
const VALUE_BYTES_MAX = 8 * 1024 * 1024
const SCAN_ENTRIES = 128
const MARK = Buffer.from('mark')
const OWNER = Buffer.from('owner')
const EMPTY: StateMark = {
  clusterId: '',
  position: 0,
  restored: {},
  complete: true,
  irreplaceable: false,
  writtenAtMs: 0,
}

/** LMDB takes no empty key, so each key gets a byte in front. */
const KEYS = {
  writeKey(key: Uint8Array, target: Buffer, start: number): number {
    target[start] = 0x6b
    target.set(key, start + 1)
    return start + 1 + key.length
  },
  /** Copies: LMDB's buffer is reused. */
  readKey: (source: Buffer, start: number, end: number): Buffer => Buffer.from(source.subarray(start + 1, end)),
}
/** lmdb's types do not know the option. */
const KEY_ENCODING = { keyEncoder: KEYS }

/**
 * Entries and their mark in one LMDB environment, changed in one transaction. An opening fences those before it, also of other
 * processes: what they write afterwards is refused.
 */
export class LocalState implements StateReader {
  readonly path: string
  readonly #root: RootDatabase<Buffer, Buffer>
  readonly #entries: Database<Buffer, Buffer>
  readonly #meta: Database<Buffer, Buffer>
  readonly #owner: number
  #mark: StateMark
  #closed = false
  /** LMDB could not commit for a reason of its own. */
  #isDamaged = false

  private constructor(path: string, root: RootDatabase<Buffer, Buffer>) {
    this.path = path
    this.#root = root
    this.#entries = root.openDB<Buffer, Buffer>('entries', { encoding: 'binary', ...KEY_ENCODING })
    this.#meta = root.openDB<Buffer, Buffer>('meta', { encoding: 'binary', keyEncoding: 'binary' })
    this.#owner = this.#root.transactionSync(() => {
      const owner = Number(this.#meta.getBinary(OWNER)?.toString() ?? 0) + 1
      this.#meta.put(OWNER, Buffer.from(String(owner)))
      return owner
    })
    this.#mark = this.#readMark()
  }

  /** Throws DATA_DIRECTORY_CORRUPT, DISK_FULL. */
  static open(path: string): LocalState {
    try {
      mkdirSync(path, { recursive: true })
      return new LocalState(
        path,
        openLmdb<Buffer, Buffer>({
          path,
          noSubdir: false,
          maxDbs: 4,
          encoding: 'binary',
          keyEncoding: 'binary',
          // Batching by turns leaves a promise behind that ends the process when a commit fails.
          eventTurnBatching: false,
        }),
      )
    } catch (error) {
      throw translate(error, path)
    }
  }

  get mark(): StateMark {
    return this.#mark
  }

  get(key: Uint8Array): Buffer | undefined {
    this.#checkOpen()
    if (key.length > KEY_BYTES_MAX) return undefined
    const bytes = this.#entries.getBinaryFast(key as Buffer)
    // LMDB's buffer is larger than the value and only pretends to be of its length.
    return bytes?.subarray(0, bytes.length)
  }

  /** Reads in portions, so that no read transaction stays open while the caller does other things in between. */
  *scan(prefix: Uint8Array): Generator<{ readonly key: Buffer; readonly value: Buffer }> {
    for (let from = Buffer.from(prefix); ; ) {
      this.#checkOpen()
      const portion: { key: Buffer; value: Buffer }[] = []
      for (const { key, value } of this.#entries.getRange({ start: from, limit: SCAN_ENTRIES })) {
        if (key.length < prefix.length || key.compare(prefix, 0, prefix.length, 0, prefix.length) !== 0) break
        portion.push({ key, value: Buffer.from(value) })
      }
      yield* portion
      if (portion.length < SCAN_ENTRIES) return
      from = Buffer.concat([portion.at(-1)!.key, Buffer.from([0])])
    }
  }

  /** Applies writes (the last of a key wins) and the mark in one transaction. Throws TASK_FENCED, RECORD_TOO_LARGE, DISK_FULL. */
  async apply(
    writes: readonly StateWrite[],
    mark: StateMark,
    options: { readonly clear?: boolean } = {},
  ): Promise<void> {
    this.#checkOpen()
    checkWrites(writes)
    const sorted = sortedWrites(writes)
    try {
      // A child transaction is the only one that lmdb rolls back when its function throws.
      await this.#root.childTransaction(() => {
        if (Number(this.#meta.getBinary(OWNER)?.toString()) !== this.#owner) throw fenced(this.path)
        if (options.clear) this.#entries.clearSync()
        for (const { key, value } of sorted) {
          if (value === null) this.#entries.remove(key as Buffer)
          else this.#entries.put(key as Buffer, value as Buffer)
        }
        this.#meta.put(MARK, Buffer.from(JSON.stringify(mark)))
      })
    } catch (error) {
      const reason = await lmdbReason(error)
      this.#isDamaged ||= isLmdbFault(reason)
      throw translate(reason, this.path)
    }
    this.#mark = mark
    this.#root.resetReadTxn()
  }

  /** Resolves when everything applied is on disk. */
  async flushed(): Promise<void> {
    await this.#root.flushed
  }

  /** Removes what LMDB could not commit to, so that the next opening restores it from the log, unless the log does not have it. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#root.close()
    if (this.#isDamaged && !this.#mark.irreplaceable) rmSync(this.path, { recursive: true, force: true })
  }

  #readMark(): StateMark {
    const found = this.#meta.getBinary(MARK)
    return found ? (JSON.parse(found.toString()) as StateMark) : EMPTY
  }

  #checkOpen(): void {
    if (this.#closed) throw new TidemarkError('LOG_CLOSED', `The state in ${this.path} is closed.`)
  }
}

function checkWrites(writes: readonly StateWrite[]): void {
  for (const { key, value } of writes) {
    const bytes = value?.length ?? 0
    if (key.length <= KEY_BYTES_MAX && bytes <= VALUE_BYTES_MAX) continue
    throw new TidemarkError(
      'RECORD_TOO_LARGE',
      `A state entry has a key of ${key.length} and a value of ${bytes} bytes; at most ${KEY_BYTES_MAX} and ${VALUE_BYTES_MAX} are taken.`,
      { fields: { keyBytes: key.length, valueBytes: bytes } },
    )
  }
}

/** In key byte order, which LMDB writes ten times as fast; one write per key: the last. */
function sortedWrites(writes: readonly StateWrite[]): readonly StateWrite[] {
  let sorted = true
  for (let i = 1; i < writes.length && sorted; i++) sorted = Buffer.compare(writes[i - 1]!.key, writes[i]!.key) < 0
  if (sorted) return writes
  // Sorting is stable, so of equal keys the last one given is the last one here.
  const all = [...writes].sort((a, b) => Buffer.compare(a.key, b.key))
  return all.filter((write, i) => i + 1 === all.length || Buffer.compare(write.key, all[i + 1]!.key) !== 0)
}

function fenced(path: string): TidemarkError {
  return new TidemarkError('TASK_FENCED', `Another owner opened the state in ${path}. Open it again.`)
}

/** LMDB's own codes; a full map is none, and neither is what the system says. */
const isLmdbFault = (error: unknown): boolean =>
  typeof error === 'object' &&
  error !== null &&
  'code' in error &&
  typeof error.code === 'number' &&
  error.code <= -30_770 &&
  error.code >= -30_799 &&
  error.code !== LMDB_MAP_FULL

const LMDB_MAP_FULL = -30_792
const LMDB_CORRUPT = new Set([-30797, -30796, -30794, -30793])

function translate(error: unknown, path: string): TidemarkError {
  const failure = classify(error)
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  if (typeof code === 'number' && LMDB_CORRUPT.has(code)) {
    return new TidemarkError(
      'DATA_DIRECTORY_CORRUPT',
      `The state in ${path} cannot be read (${failure.message}). It is a cache: remove the folder, and it is restored from the log.`,
      { cause: error, fields: { path } },
    )
  }
  return failure
}
