import { open, unlink } from 'node:fs/promises'
import { TidemarkError } from '@tidemark/base'
import { asidePath, list, readRange, segmentPath, writeDurably } from './files.ts'
import { type Found, recordAt } from './frame.ts'
import type { Position } from './position.ts'

/** A segment file: durable bytes, and the records in it that are not drained. */
export interface Segment {
  readonly id: number
  size: number
  left: number
}

/** Bytes that are no record any more, and where they are kept. */
export interface Damage {
  readonly segment: number
  readonly offset: number
  readonly bytes: number
  readonly path: string
}

export interface Recovered {
  readonly segments: readonly Segment[]
  /** Highest segment id that was ever found. */
  readonly lastId: number
  /** Time of the oldest record that is not drained. */
  readonly oldestMs: number | null
  /** Bytes of a record that was being written, and never acknowledged, when the process ended. */
  readonly cutBytes: number
  readonly damages: readonly Damage[]
}

/**
 * Reads what an earlier process left. Segments that are drained are removed; a record cut off at the end of the last segment is removed,
 * it was never acknowledged; anything else that is no record is kept beside the segments, and the records behind it are found.
 */
export async function recover(directory: string, position: Position): Promise<Recovered> {
  const { segments: ids } = await list(directory)
  const segments: Segment[] = []
  const damages: Damage[] = []
  let oldestMs: number | null = null
  let cutBytes = 0
  for (const id of ids) {
    const path = segmentPath(directory, id)
    const from = id === position.segment ? position.offset : 0
    const bytes = id < position.segment ? Buffer.alloc(0) : await readRange(path, from, await sizeOf(path))
    const isLast = id === ids.at(-1)
    let left = 0
    let size = from
    for (const { found, at } of walk(bytes, isLast)) {
      if (found.kind === 'record') {
        left++
        oldestMs ??= found.timeMs
      } else if (found.kind === 'damaged') {
        damages.push(await setAside(directory, id, from + at, bytes.subarray(at, found.next)))
      } else {
        cutBytes = bytes.length - at
        await truncate(path, from + at)
        break
      }
      size = from + found.next
    }
    if (left > 0) segments.push({ id, size, left })
    else await unlink(path)
  }
  return { segments, lastId: ids.at(-1) ?? 0, oldestMs, cutBytes, damages }
}

/** The records and damages of a segment's bytes in order; last, where the writing may have been cut off, a `cut`. */
export function* walk(
  bytes: Buffer,
  mayBeCut: boolean,
): Generator<{ readonly found: Exclude<Found, { kind: 'end' }>; readonly at: number }> {
  for (let at = 0; ; ) {
    const found = recordAt(bytes, at)
    if (found.kind === 'end') return
    if (found.kind === 'cut') {
      yield { found: mayBeCut ? found : { kind: 'damaged', next: bytes.length }, at }
      return
    }
    yield { found, at }
    at = found.next
  }
}

/** Keeps bytes beside the segments, durably. The same bytes found again are kept once. */
export async function setAside(directory: string, id: number, offset: number, bytes: Uint8Array): Promise<Damage> {
  const path = asidePath(directory, id, offset)
  await writeDurably(directory, path, bytes)
  return { segment: id, offset, bytes: bytes.length, path }
}

/** How a damage is told. */
export const damageError = ({ segment, offset, bytes, path }: Damage): TidemarkError =>
  new TidemarkError(
    'DATA_DIRECTORY_CORRUPT',
    `${bytes} bytes of the webhook spool cannot be read: a webhook in them is not in the log. They are kept in ${path}; check the disk, and ` +
      'have the provider send again what is missing, or run a full sync.',
    { fields: { segment, offset, bytes, path } },
  )

async function sizeOf(path: string): Promise<number> {
  const handle = await open(path, 'r')
  try {
    return (await handle.stat()).size
  } finally {
    await handle.close()
  }
}

async function truncate(path: string, size: number): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    await handle.truncate(size)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
