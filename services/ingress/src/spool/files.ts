import { type FileHandle, open, readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'

const SEGMENT = /^(\d{12})\.spool$/
const ASIDE = /^aside-\d{12}-\d{12}\.bin$/
const digits = (value: number): string => String(value).padStart(12, '0')

export const segmentPath = (directory: string, id: number): string => join(directory, `${digits(id)}.spool`)
export const asidePath = (directory: string, id: number, offset: number): string =>
  join(directory, `aside-${digits(id)}-${digits(offset)}.bin`)

export interface Listing {
  /** Ids of the segments, oldest first. */
  readonly segments: readonly number[]
  /** What was set aside: files and their bytes. */
  readonly aside: { readonly files: number; readonly bytes: number }
}

/** What a spool's folder holds. Other files are not looked at. */
export async function list(directory: string): Promise<Listing> {
  const names = (await readdir(directory)).sort()
  const asides = names.filter((name) => ASIDE.test(name))
  let bytes = 0
  for (const name of asides) bytes += (await stat(join(directory, name))).size
  return {
    segments: names.flatMap((name) => SEGMENT.exec(name)?.[1] ?? []).map(Number),
    aside: { files: asides.length, bytes },
  }
}

/** Makes names created, renamed or removed in a folder durable: a file's own fsync does not. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Bytes `from` to `to` of a file; fewer when it is shorter. */
export async function readRange(path: string, from: number, to: number): Promise<Buffer> {
  const handle = await open(path, 'r')
  try {
    const bytes = Buffer.allocUnsafe(Math.max(0, to - from))
    let got = 0
    while (got < bytes.length) {
      const { bytesRead } = await handle.read(bytes, got, bytes.length - got, from + got)
      if (bytesRead === 0) break
      got += bytesRead
    }
    return bytes.subarray(0, got)
  } finally {
    await handle.close()
  }
}

/** Writes all the bytes at a place. */
export async function writeAt(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done)
    done += bytesWritten
  }
}

/** Writes a file that is durable, name included, when this resolves. Of a failed one nothing is left where the disk allows. */
export async function writeDurably(directory: string, path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'w', 0o600)
  try {
    await writeAt(handle, bytes, 0)
    await handle.sync()
  } catch (error) {
    await unlink(path).catch(() => undefined)
    throw error
  } finally {
    await handle.close()
  }
  await syncDirectory(directory)
}
