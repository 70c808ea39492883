import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'

/**
 * Replaces a file's text at once: whoever reads it meanwhile, or after a crash, sees all of the old or all of the new. Mode and owner stay; a link
 * stays a link. `suffix` names the file beside it that becomes the new one. Throws what the file system throws, with the file as it was.
 */
export function replaceFile(path: string, text: string, suffix: string): void {
  const target = realpathSync(path)
  const before = statSync(target)
  const beside = `${target}.${suffix}`
  // For nobody else until it has the mode of the one that it replaces.
  const file = openSync(beside, 'wx', 0o600)
  try {
    try {
      writeAll(file, Buffer.from(text))
      const own = statSync(beside)
      if (own.uid !== before.uid || own.gid !== before.gid) fchownSync(file, before.uid, before.gid)
      fchmodSync(file, before.mode & 0o7777)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(beside, target)
  } catch (error) {
    rmSync(beside, { force: true })
    throw error
  }
  syncDirectory(dirname(target))
}

function writeAll(file: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written)
}

/** Makes the rename last. Windows cannot open directories, and needs none of it. */
function syncDirectory(path: string): void {
  if (process.platform === 'win32') return
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}
