import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where the process that runs on a data directory listens. */
export interface ServerFile {
  readonly pid: number
  readonly url: string
}

const fileOf = (data: string): string => join(data, 'server.json')

export function writeServerFile(data: string, server: ServerFile): void {
  writeFileSync(fileOf(data), `${JSON.stringify(server)}\n`)
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
