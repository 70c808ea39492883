import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where the process that runs on a data directory listens. */
export interface ServerFile {
  readonly pid: number
  readonly url: string
  /** A key of this process's own, when it asks for keys: for commands of whoever may read the directory, which holds everything anyway. */
  readonly key?: string
}

const fileOf = (data: string): string => join(data, 'server.json')

/** Writes the file anew, so that nobody but its owner can read it, whatever the one before allowed. */
export function writeServerFile(data: string, server: ServerFile): void {
  removeServerFile(data)
  writeFileSync(fileOf(data), `${JSON.stringify(server)}\n`, { mode: 0o600, flag: 'wx' })
}

export function removeServerFile(data: string): void {
  rmSync(fileOf(data), { force: true })
}

/** What the last process on this directory wrote; it may be gone, which only the directory's lock can tell. */
export function readServerFile(data: string): ServerFile | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(data), 'utf8')) as ServerFile
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
