import { LIMITS, TidemarkError } from '@tidemark/base'
import type { StateReader, StateStore, StateWrite } from '@tidemark/log'
import { type Committer, closedError } from './committer.ts'
import { type Environment, translate } from './environment.ts'
import { decodeNumber, decodeOwner, encodeNumber, encodeOwner, nameKey, type OwnerRow } from './rows.ts'

const NEXT_RANGE = nameKey('state-range')
/** LMDB takes keys of 1978 bytes; four are the key range. */
const KEY_BYTES_MAX = 1900
const VALUE_BYTES_MAX = 8 * 1024 * 1024
const SCAN_ENTRIES = 128
const PURGE_ENTRIES = 4096

/** The committed entries of one key range. */
export class RangeReader implements StateReader {
  readonly #environment: Environment
  #range: number
  #closed = false

  constructor(environment: Environment, range: number) {
    this.#environment = environment
    this.#range = range
  }

  /** Reads from another range from now on. */
  moveTo(range: number): void {
    this.#range = range
  }

  close(): void {
    this.#closed = true
  }

  get(key: Uint8Array): Buffer | undefined {
    const { stateKeys, state, path } = this.#environment
    if (this.#closed) throw closedError(path)
    if (key.length > KEY_BYTES_MAX) return undefined
    stateKeys.range = this.#range
    try {
      const bytes = state.getBinaryFast(key as Buffer)
      // LMDB's buffer is larger than the value and only pretends to be of its length.
      return bytes?.subarray(0, bytes.length)
    } catch (error) {
      throw translate(error, path)
    }
  }

  /**
   * Reads in portions, so that no read transaction stays open while the caller does other things in between. What one
   * uninterrupted loop sees is one moment; entries that change while the caller awaits may or may not be seen.
   */
  *scan(prefix: Uint8Array): Generator<{ readonly key: Buffer; readonly value: Buffer }> {
    let from: Buffer = Buffer.from(prefix)
    for (;;) {
      const portion = this.#portion(from, prefix)
      yield* portion
      if (portion.length < SCAN_ENTRIES) return
      from = Buffer.concat([portion.at(-1)!.key, Buffer.from([0])])
    }
  }

  #portion(from: Buffer, prefix: Uint8Array): { key: Buffer; value: Buffer }[] {
    const { stateKeys, state, path } = this.#environment
    if (this.#closed) throw closedError(path)
    stateKeys.range = this.#range
    const out: { key: Buffer; value: Buffer }[] = []
    // No end: the key range's own end cannot be told as a key within it. The prefix ends the loop.
    for (const { key, value } of state.getRange({ start: from, limit: SCAN_ENTRIES })) {
      if (stateKeys.found !== this.#range || !startsWith(key, prefix)) break
      out.push({ key, value: Buffer.from(value.buffer, value.byteOffset, value.byteLength) })
    }
    return out
  }
}

function startsWith(key: Buffer, prefix: Uint8Array): boolean {
  return key.length >= prefix.length && key.compare(prefix, 0, prefix.length, 0, prefix.length) === 0
}

/** Throws RECORD_TOO_LARGE. Returns the bytes of the writes. */
export function measureState(writes: readonly StateWrite[]): number {
  let total = 0
  for (const { key, value } of writes) {
    const bytes = value?.length ?? 0
    if (key.length > KEY_BYTES_MAX || bytes > VALUE_BYTES_MAX) {
      throw new TidemarkError(
        'RECORD_TOO_LARGE',
        `A state entry has a key of ${key.length} and a value of ${bytes} bytes; at most ${KEY_BYTES_MAX} and ${VALUE_BYTES_MAX} are taken.`,
        { fields: { keyBytes: key.length, valueBytes: bytes, recordKeyBytesMax: LIMITS.recordKeyBytesMax } },
      )
    }
    total += key.length + bytes
  }
  return total
}

/** Puts writes in key order: LMDB writes sorted keys ten times as fast. The last write of a key wins. Within a transaction. */
export function writeState(environment: Environment, range: number, writes: readonly StateWrite[]): void {
  const { state, stateKeys } = environment
  stateKeys.range = range
  for (const { key, value } of sortedWrites(writes)) {
    if (value === null) state.remove(key as Buffer)
    else state.put(key as Buffer, value as Buffer)
  }
}

/** In key byte order, one write per key: the last. */
export function sortedWrites(writes: readonly StateWrite[]): readonly StateWrite[] {
  let sorted = true
  for (let i = 1; i < writes.length && sorted; i++) sorted = Buffer.compare(writes[i - 1]!.key, writes[i]!.key) < 0
  if (sorted) return writes
  // Sorting is stable, so of equal keys the last one given is the last one here.
  const all = [...writes].sort((a, b) => Buffer.compare(a.key, b.key))
  return all.filter((write, i) => i + 1 === all.length || Buffer.compare(write.key, all[i + 1]!.key) !== 0)
}

/** An owner of a key range, fenced by an epoch that rises with every opening. */
export interface Owner {
  readonly key: Buffer
  row: OwnerRow
}

/** Takes a key range over, creating it when new. Durable when it resolves. */
export function takeOver(environment: Environment, committer: Committer, key: Buffer): Promise<Owner> {
  return committer.run({
    bytes: 64,
    write: () => {
      const found = environment.owners.getBinary(key)
      const old = found ? decodeOwner(found) : { range: nextRange(environment), epoch: 0, position: 0 }
      const row = { ...old, epoch: old.epoch + 1 }
      environment.owners.put(key, encodeOwner(row))
      return { key, row }
    },
  })
}

/** Throws TASK_FENCED when another owner took over since. Within a transaction. */
export function checkOwner(environment: Environment, { key, row }: Owner, name: string): void {
  const found = environment.owners.getBinary(key)
  if (found && decodeOwner(found).epoch === row.epoch) return
  throw new TidemarkError('TASK_FENCED', `Another owner took over ${name}. Stop working on it, or open it again.`, {
    fields: { name },
  })
}

function nextRange({ counters }: Environment): number {
  const range = decodeNumber(counters.getBinary(NEXT_RANGE), 1)
  counters.put(NEXT_RANGE, encodeNumber(range + 1))
  return range
}

/** A named state store; a newer opening of the same name fences an older one. */
export class NamedState implements StateStore {
  readonly #environment: Environment
  readonly #committer: Committer
  readonly #owner: Owner
  readonly #name: string
  readonly #reader: RangeReader
  #closed = false

  private constructor(environment: Environment, committer: Committer, owner: Owner, name: string) {
    this.#environment = environment
    this.#committer = committer
    this.#owner = owner
    this.#name = `state ${name}`
    this.#reader = new RangeReader(environment, owner.row.range)
  }

  static async open(environment: Environment, committer: Committer, name: string): Promise<NamedState> {
    const owner = await takeOver(environment, committer, nameKey('state', name))
    return new NamedState(environment, committer, owner, name)
  }

  get position(): number {
    return this.#owner.row.position
  }

  get(key: Uint8Array): Buffer | undefined {
    return this.#reader.get(key)
  }

  scan(prefix: Uint8Array): Iterable<{ readonly key: Buffer; readonly value: Buffer }> {
    return this.#reader.scan(prefix)
  }

  async apply(writes: readonly StateWrite[], position: number): Promise<void> {
    await this.#change(measureState(writes), (row) => {
      writeState(this.#environment, row.range, writes)
      return { ...row, position }
    })
  }

  /** Switches to an empty key range in one commit, then removes the old one in slices. */
  async clear(): Promise<void> {
    const environment = this.#environment
    await this.#change(64, (row) => {
      environment.garbage.put(rangeKey(row.range), Buffer.alloc(0))
      return { ...row, range: nextRange(environment), position: 0 }
    })
    await purgeGarbage(environment, this.#committer)
  }

  /** The row is read within the transaction, so that calls that were not awaited follow each other. */
  async #change(bytes: number, write: (row: OwnerRow) => OwnerRow): Promise<void> {
    const environment = this.#environment
    if (this.#closed) throw closedError(environment.path)
    const { key } = this.#owner
    this.#owner.row = await this.#committer.run({
      bytes,
      check: () => checkOwner(environment, this.#owner, this.#name),
      write: () => {
        const row = write(decodeOwner(environment.owners.getBinary(key)!))
        environment.owners.put(key, encodeOwner(row))
        return row
      },
    })
    this.#reader.moveTo(this.#owner.row.range)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#reader.close()
  }
}

function rangeKey(range: number): Buffer {
  const key = Buffer.allocUnsafe(4)
  key.writeUInt32BE(range)
  return key
}

/** Removes key ranges that were given up, a few thousand entries per transaction. Returns how many entries went. */
export async function purgeGarbage(environment: Environment, committer: Committer): Promise<number> {
  let removed = 0
  for (const key of [...environment.garbage.getKeys({})]) {
    const range = Buffer.from(key).readUInt32BE(0)
    for (let count = PURGE_ENTRIES; count === PURGE_ENTRIES; removed += count) {
      count = await committer.run({ bytes: PURGE_ENTRIES * 64, write: () => purgeSlice(environment, range) })
    }
  }
  return removed
}

function purgeSlice(environment: Environment, range: number): number {
  const { state, stateKeys, garbage } = environment
  stateKeys.range = range
  const keys: Buffer[] = []
  for (const key of state.getKeys({ start: Buffer.alloc(0), limit: PURGE_ENTRIES })) {
    if (stateKeys.found !== range) break
    keys.push(key)
  }
  for (const key of keys) state.remove(key)
  if (keys.length < PURGE_ENTRIES) garbage.remove(rangeKey(range))
  return keys.length
}
