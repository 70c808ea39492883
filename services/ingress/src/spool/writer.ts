import { type FileHandle, open, unlink } from 'node:fs/promises'
import { segmentPath, syncDirectory, writeAt } from './files.ts'
import { headerOf } from './frame.ts'
import type { Segment } from './recover.ts'

export interface Entry {
  readonly payload: Uint8Array
  readonly timeMs: number
}

interface Waiting {
  readonly entry: Entry
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export interface WriterOptions {
  readonly directory: string
  /** A segment of this size is not added to. */
  readonly segmentBytes: number
  readonly nextId: number
  /** Told of a new segment before anything is in it. */
  readonly onSegment: (segment: Segment) => void
}

const ROUND_BYTES_MAX = 4 * 1024 * 1024

/** Adds records at the end of the newest segment. What gathers during one fsync shares the next. */
export class Writer {
  readonly #options: WriterOptions
  readonly #queue: Waiting[] = []
  #waiting = 0
  #nextId: number
  #active: { readonly segment: Segment; readonly handle: FileHandle } | undefined
  /** What is behind the end of the active segment is of a failed write, and could not be removed yet. */
  #isDirty = false
  #running: Promise<void> | undefined

  constructor(options: WriterOptions) {
    this.#options = options
    this.#nextId = options.nextId
  }

  /** Records that are not durable yet. */
  get waiting(): number {
    return this.#waiting
  }

  /** Resolves when the record is durable; when it rejects, nothing of it is in the spool. */
  append(entry: Entry): Promise<void> {
    this.#waiting++
    const written = new Promise<void>((resolve, reject) => this.#queue.push({ entry, resolve, reject }))
    this.#running ??= this.#run()
    return written
  }

  isActive(segment: Segment): boolean {
    return this.#active?.segment === segment
  }

  /** Ends a segment that is not being written to: the next record begins another. */
  async seal(segment: Segment): Promise<void> {
    if (this.#active?.segment !== segment) return
    const { handle } = this.#active
    this.#active = undefined
    this.#isDirty = false
    await handle.close()
  }

  /** Waits for what was accepted. */
  async close(): Promise<void> {
    await this.#running
    if (this.#active) await this.seal(this.#active.segment)
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const round = this.#take()
      try {
        const segment = await this.#write(round)
        segment.left += round.length
        this.#waiting -= round.length
        for (const { resolve } of round) resolve()
      } catch (error) {
        this.#waiting -= round.length
        for (const { reject } of round) reject(error)
      }
    }
    this.#running = undefined
  }

  #take(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const { entry } of this.#queue) {
      if (count > 0 && bytes + entry.payload.length > ROUND_BYTES_MAX) break
      bytes += entry.payload.length
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #write(round: readonly Waiting[]): Promise<Segment> {
    const { segment, handle } = await this.#writable()
    const bytes = Buffer.concat(round.flatMap(({ entry }) => [headerOf(entry.payload, entry.timeMs), entry.payload]))
    let isWritten = false
    this.#isDirty = true
    try {
      await writeAt(handle, bytes, segment.size)
      isWritten = true
      await handle.datasync()
    } catch (error) {
      await this.#clean().catch(() => undefined)
      // After a failed fsync a later one may succeed without having written: a file that holds records is not trusted with more.
      if (isWritten && !this.#isDirty && segment.size > 0) await this.seal(segment).catch(() => undefined)
      throw error
    }
    this.#isDirty = false
    segment.size += bytes.length
    return segment
  }

  async #writable(): Promise<{ readonly segment: Segment; readonly handle: FileHandle }> {
    if (this.#isDirty) await this.#clean()
    if (this.#active && this.#active.segment.size >= this.#options.segmentBytes) await this.seal(this.#active.segment)
    this.#active ??= await this.#create()
    return this.#active
  }

  /** Removes what a failed write left, so that the segment ends with a record. */
  async #clean(): Promise<void> {
    if (!this.#active) return
    const { handle, segment } = this.#active
    await handle.truncate(segment.size)
    await handle.datasync()
    this.#isDirty = false
  }

  async #create(): Promise<{ readonly segment: Segment; readonly handle: FileHandle }> {
    const { directory, onSegment } = this.#options
    const id = this.#nextId++
    const path = segmentPath(directory, id)
    const handle = await open(path, 'wx', 0o600)
    try {
      await syncDirectory(directory)
    } catch (error) {
      await handle.close()
      await unlink(path).catch(() => undefined)
      throw error
    }
    const segment: Segment = { id, size: 0, left: 0 }
    onSegment(segment)
    return { segment, handle }
  }
}
