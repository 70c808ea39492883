import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { syncDirectory, writeAt } from './files.ts'

/** Everything before it is drained. A segment that is not there has no records. */
export interface Position {
  readonly segment: number
  readonly offset: number
}

const SLOT_BYTES = 32
/** Slots lie on pages of their own: a write that is cut off harms one, and the other still says where to go on. */
const SLOT_OFFSETS = [0, 4096] as const

/**
 * The durable position, in two slots of one file written in turns. Its space is taken once, so moving on works on a full disk.
 * When neither slot can be read, the position is the beginning: what was drained is drained again, nothing is lost.
 */
export class PositionFile {
  readonly #handle: FileHandle
  #writes: number
  #value: Position

  private constructor(handle: FileHandle, writes: number, value: Position) {
    this.#handle = handle
    this.#writes = writes
    this.#value = value
  }

  static async open(directory: string): Promise<PositionFile> {
    const path = join(directory, 'position')
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
    try {
      const slots = await Promise.all(SLOT_OFFSETS.map((at) => readSlot(handle, at)))
      const newest = slots.reduce((a, b) => ((b?.writes ?? -1) > (a?.writes ?? -1) ? b : a), undefined)
      const file = new PositionFile(handle, newest?.writes ?? 0, newest?.value ?? { segment: 0, offset: 0 })
      // Both slots then have their space, and agree.
      for (const _slot of SLOT_OFFSETS) await file.write(file.#value)
      await syncDirectory(directory)
      return file
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  get value(): Position {
    return this.#value
  }

  /** Durable when it resolves. */
  async write(value: Position): Promise<void> {
    const writes = this.#writes + 1
    const slot = Buffer.alloc(SLOT_BYTES)
    for (const [i, number] of [writes, value.segment, value.offset].entries()) slot.writeDoubleLE(number, 8 * i)
    slot.writeUInt32LE(crc32(slot.subarray(0, 24)), 24)
    await writeAt(this.#handle, slot, SLOT_OFFSETS[writes % 2 === 0 ? 0 : 1])
    await this.#handle.datasync()
    this.#writes = writes
    this.#value = value
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

async function readSlot(handle: FileHandle, at: number): Promise<{ writes: number; value: Position } | undefined> {
  const slot = Buffer.alloc(SLOT_BYTES)
  const { bytesRead } = await handle.read(slot, 0, SLOT_BYTES, at)
  if (bytesRead < SLOT_BYTES || crc32(slot.subarray(0, 24)) !== slot.readUInt32LE(24)) return undefined
  const [writes, segment, offset] = [0, 8, 16].map((i) => slot.readDoubleLE(i)) as [number, number, number]
  return { writes, value: { segment, offset } }
}
