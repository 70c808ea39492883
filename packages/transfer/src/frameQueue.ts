import { TidemarkError } from '@tidemark/base'
import { type Frame, invalid } from './format.ts'

/** The checksum holds: what is in there is what an export wrote. */
export function parse<T>({ kind, payload }: Frame, expected: number): T {
  if (kind !== expected) throw invalid(`The export has a part of kind ${kind} where ${expected} belongs.`)
  return JSON.parse(payload.toString()) as T
}

/** Frames in order, with a look at the next one. */
export class FrameQueue {
  readonly #frames: AsyncGenerator<Frame>
  readonly #signal: AbortSignal
  #head: Frame | undefined

  constructor(frames: AsyncGenerator<Frame>, signal: AbortSignal) {
    this.#frames = frames
    this.#signal = signal
  }

  async peek(): Promise<Frame> {
    if (this.#signal.aborted) {
      throw new TidemarkError(
        'EXPORT_INVALID',
        'The import was stopped before its end. Run it again: it goes on where it was.',
      )
    }
    this.#head ??= await this.#read()
    return this.#head
  }

  async next(): Promise<Frame> {
    const frame = await this.peek()
    this.#head = undefined
    return frame
  }

  /** All frames of a kind that follow. */
  async all<T>(kind: number): Promise<T[]> {
    const found: T[] = []
    while ((await this.peek()).kind === kind) found.push(parse<T>(await this.next(), kind))
    return found
  }

  /** Throws EXPORT_INVALID when anything follows. */
  async finish(): Promise<void> {
    if (!(await this.#frames.next()).done) throw invalid('Something follows the end of the export.')
  }

  async close(): Promise<void> {
    await this.#frames.return(undefined)
  }

  async #read(): Promise<Frame> {
    const next = await this.#frames.next()
    if (!next.done) return next.value
    throw invalid('The export ends before its end: the part that says that it is complete is missing.')
  }
}
