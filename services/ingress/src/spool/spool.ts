/**
 * A bounded queue of records on local disk. What was appended is there after a SIGKILL or a power cut, in order, until it is committed
 * as drained. Records lie in segment files; a durable position says what is drained; drained segments are deleted.
 */
import { mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { classify, type DirectoryLock, lockDirectory, TidemarkError } from '@tidemark/base'
import type { Logger } from '@tidemark/telemetry'
import { list, readRange, segmentPath, syncDirectory } from './files.ts'
import { HEADER_BYTES, headerOf, PAYLOAD_BYTES_MAX } from './frame.ts'
import { type Position, PositionFile } from './position.ts'
import { type Damage, damageError, recover, type Segment, setAside, walk } from './recover.ts'
import { type Entry, Writer } from './writer.ts'

export interface SpoolOptions {
  /** Folder of the spool alone; created when missing. On a local disk: its fsync must be true. */
  readonly directory: string
  readonly logger: Logger
  /** Bytes on disk beyond which nothing is taken. Default 256 MiB. */
  readonly bytesMax?: number
  /** Bytes after which another file is begun; drained space is freed by whole files. Default 4 MiB. */
  readonly segmentBytes?: number
}

export interface SpooledRecord extends Position {
  readonly payload: Buffer
  readonly timeMs: number
}

/** The oldest records that are not drained, all of one segment. */
export interface Batch {
  readonly records: readonly SpooledRecord[]
  /** Behind the last of them. */
  readonly next: Position
}

export interface SpoolStatus {
  /** Records that are not drained, those being written included. */
  readonly records: number
  /** Bytes on disk. */
  readonly bytes: number
  readonly bytesMax: number
  /** Time of the oldest record; null when there is none. */
  readonly oldestMs: number | null
  /** Files of bytes that could not be drained, kept in the folder. */
  readonly setAside: number
}

/** Bytes that wait for the disk; memory stays bounded by it. */
const QUEUE_BYTES_MAX = 64 * 1024 * 1024
const BATCH_RECORDS_MAX = 1000

/**
 * Opens a spool for this process alone. Throws DATA_DIRECTORY_LOCKED, or what the file system said. Damaged bytes do not keep it
 * from opening: they are set aside and logged with DATA_DIRECTORY_CORRUPT.
 */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const { directory } = options
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await syncDirectory(dirname(directory))
  const lock = lockDirectory(directory)
  try {
    return await Spool.open(options, lock)
  } catch (error) {
    lock.release()
    throw classify(error)
  }
}

export class Spool {
  readonly #options: Required<SpoolOptions>
  readonly #lock: DirectoryLock
  readonly #position: PositionFile
  readonly #segments: Segment[]
  readonly #writer: Writer
  readonly #toldDamages = new Set<string>()
  #aside: { files: number; bytes: number }
  #queuedBytes = 0
  #oldestMs: number | null
  #closing: Promise<void> | undefined

  private constructor(
    options: Required<SpoolOptions>,
    lock: DirectoryLock,
    position: PositionFile,
    { segments, lastId, oldestMs }: Awaited<ReturnType<typeof recover>>,
    aside: { readonly files: number; readonly bytes: number },
  ) {
    this.#options = options
    this.#lock = lock
    this.#position = position
    this.#segments = [...segments]
    this.#aside = { ...aside }
    this.#oldestMs = oldestMs
    this.#writer = new Writer({
      ...options,
      // Never an id that the position may have passed.
      nextId: Math.max(lastId, position.value.segment) + 1,
      onSegment: (segment) => this.#segments.push(segment),
    })
  }

  static async open(given: SpoolOptions, lock: DirectoryLock): Promise<Spool> {
    const options = { bytesMax: 256 * 1024 * 1024, segmentBytes: 4 * 1024 * 1024, ...given }
    const { directory, logger } = options
    const position = await PositionFile.open(directory)
    try {
      const recovered = await recover(directory, position.value)
      const { cutBytes, damages } = recovered
      if (cutBytes > 0) logger.warn({ bytes: cutBytes }, 'a webhook was being spooled when the process ended: removed')
      const spool = new Spool(options, lock, position, recovered, (await list(directory)).aside)
      for (const damage of damages) spool.#tell(damage)
      return spool
    } catch (error) {
      await position.close()
      throw error
    }
  }

  /** True when nothing is stored or being stored. */
  get isEmpty(): boolean {
    return this.#writer.waiting === 0 && this.#segments.every(({ left }) => left === 0)
  }

  status(): SpoolStatus {
    const records = this.#segments.reduce((sum, { left }) => sum + left, this.#writer.waiting)
    return {
      records,
      bytes: this.#bytes,
      bytesMax: this.#options.bytesMax,
      oldestMs: records === 0 ? null : this.#oldestMs,
      setAside: this.#aside.files,
    }
  }

  /**
   * Adds a record at the end; resolves when it is durable. Throws SPOOL_FULL (bound), DISK_FULL (disk), OVERLOADED (the disk is slow),
   * or what the file system said: nothing of the record is stored then.
   */
  async append(payload: Uint8Array, timeMs: number): Promise<void> {
    const bytes = HEADER_BYTES + payload.length
    this.#refuse(bytes)
    if (this.isEmpty) this.#oldestMs = timeMs
    this.#queuedBytes += bytes
    try {
      await this.#writer.append({ payload, timeMs } satisfies Entry)
    } catch (error) {
      throw classify(error)
    } finally {
      this.#queuedBytes -= bytes
    }
  }

  /** The oldest durable records; undefined when there are none. The same again until they are committed. */
  async read(): Promise<Batch | undefined> {
    const segment = this.#segments.find(({ left }) => left > 0)
    if (!segment) return undefined
    const { directory } = this.#options
    const { value: position } = this.#position
    const { id, size } = segment
    const from = id === position.segment ? position.offset : 0
    const bytes = await readRange(segmentPath(directory, id), from, size).catch(emptyWhenMissing)
    const records: SpooledRecord[] = []
    let next = from
    for (const { found, at } of walk(bytes, false)) {
      if (found.kind === 'record') {
        records.push({ segment: id, offset: from + at, payload: found.payload, timeMs: found.timeMs })
        next = from + found.next
        if (records.length >= BATCH_RECORDS_MAX) break
      } else if (found.kind === 'damaged') {
        this.#tell(await setAside(directory, id, from + at, bytes.subarray(at, found.next)))
        next = from + found.next
      }
    }
    // A file that lost its end, or is gone, has lost records: it is drained as far as it goes.
    if (from + bytes.length < size && next >= from + bytes.length) {
      this.#tell(await setAside(directory, id, next, Buffer.alloc(0)))
      next = size
    }
    this.#oldestMs = records[0]?.timeMs ?? this.#oldestMs
    return { records, next: { segment: id, offset: next } }
  }

  /** Makes it durable that a batch is drained, then frees what space can be. */
  async commit({ records, next }: Batch): Promise<void> {
    const segment = this.#segments.find(({ id }) => id === next.segment)
    if (!segment) return
    await this.#position.write(next)
    segment.left = next.offset >= segment.size ? 0 : Math.max(1, segment.left - records.length)
    for (const drained of this.#segments.filter((one) => one.id <= next.segment && this.#isOver(one))) {
      this.#segments.splice(this.#segments.indexOf(drained), 1)
      await this.#writer.seal(drained)
      await rm(segmentPath(this.#options.directory, drained.id), { force: true })
    }
  }

  /** Keeps a record that the log will never take, out of the queue and durably. Returns where. */
  async setAside({ segment, offset, payload, timeMs }: SpooledRecord): Promise<string> {
    const bytes = Buffer.concat([headerOf(payload, timeMs), payload])
    const { path } = await setAside(this.#options.directory, segment, offset, bytes)
    await this.#countAside()
    return path
  }

  /** Finishes accepted appends and releases the folder. Later appends throw LOG_CLOSED. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      try {
        await this.#writer.close()
        await this.#position.close()
      } finally {
        this.#lock.release()
      }
    })()
    return this.#closing
  }

  /** Drained, and not the one that the round under way may be writing to. */
  #isOver(segment: Segment): boolean {
    return segment.left === 0 && !(this.#writer.isActive(segment) && this.#writer.waiting > 0)
  }

  get #bytes(): number {
    return this.#segments.reduce((sum, { size }) => sum + size, this.#aside.bytes)
  }

  #refuse(bytes: number): void {
    const { directory, bytesMax } = this.#options
    if (this.#closing) throw new TidemarkError('LOG_CLOSED', `The webhook spool in ${directory} is closed.`)
    if (bytes > HEADER_BYTES + PAYLOAD_BYTES_MAX)
      throw new TidemarkError('RECORD_TOO_LARGE', `A record of ${bytes} bytes is larger than the spool takes.`)
    if (this.#bytes + this.#queuedBytes + bytes > bytesMax) {
      // The operator may have removed what was set aside.
      if (this.#aside.files > 0) void this.#countAside().catch(() => undefined)
      throw new TidemarkError(
        'SPOOL_FULL',
        `The webhook spool in ${directory} holds ${this.#bytes} bytes of at most ${bytesMax}. It empties when the log can be reached.`,
        { fields: { bytes: this.#bytes, bytesMax } },
      )
    }
    if (this.#queuedBytes + bytes > QUEUE_BYTES_MAX)
      throw new TidemarkError(
        'OVERLOADED',
        `${this.#queuedBytes} bytes already wait for the disk of the webhook spool.`,
      )
  }

  #tell(damage: Damage): void {
    if (this.#toldDamages.has(damage.path)) return
    this.#toldDamages.add(damage.path)
    this.#options.logger.error({ err: damageError(damage) }, 'webhook spool is damaged')
    void this.#countAside().catch(() => undefined)
  }

  async #countAside(): Promise<void> {
    this.#aside = (await list(this.#options.directory)).aside
  }
}

/** A file that somebody removed must not keep the others from being drained. */
function emptyWhenMissing(error: unknown): Buffer {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0)
  throw error
}
