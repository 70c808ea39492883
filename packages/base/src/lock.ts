import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TidemarkError } from './errors.ts'

/** Held by the one process that writes to a directory. */
export interface DirectoryLock {
  /** Gives the directory up; a second call does nothing. */
  release(): void
}

interface Holder {
  readonly pid: number
  /** Boot id and start time of the process, so that a reused pid is not taken for the old owner. */
  readonly started: string | null
}

const FILE = 'tidemark.lock'

/**
 * Takes a directory (created when missing) for this process alone, by a lock file that names pid and start time. A lock whose
 * process is gone is taken over. Throws DATA_DIRECTORY_LOCKED, naming the pid, while the owner lives: also when it is this process.
 * Two machines or pid namespaces that share the directory do not see each other's processes, and are not kept apart.
 */
export function lockDirectory(directory: string): DirectoryLock {
  mkdirSync(directory, { recursive: true })
  const file = join(directory, FILE)
  const mine = JSON.stringify({ pid: process.pid, started: startOf(process.pid) } satisfies Holder)
  const own = `${file}.${process.pid}`
  writeFileSync(own, mine)
  try {
    // Each round either gets the lock, meets a living owner, or removes one dead owner.
    for (let round = 0; round < 5; round++) {
      if (link(own, file)) return releaser(file, mine)
      const found = read(file)
      if (found === undefined) continue
      const holder = parse(found)
      if (holder && isAlive(holder)) throw locked(directory, holder.pid)
      removeStale(file, found)
    }
    throw locked(directory, null)
  } finally {
    rmSync(own, { force: true })
  }
}

function locked(directory: string, pid: number | null): TidemarkError {
  const who = pid === null ? 'Another process' : pid === process.pid ? `This process (${pid})` : `Process ${pid}`
  return new TidemarkError(
    'DATA_DIRECTORY_LOCKED',
    `${who} already has the data directory ${directory} open. Stop it, or choose another directory.`,
    { fields: { directory, pid } },
  )
}

function releaser(file: string, mine: string): DirectoryLock {
  let held = true
  return {
    release() {
      if (held && read(file) === mine) rmSync(file, { force: true })
      held = false
    },
  }
}

/** Hard links are created atomically with their content, unlike a file opened exclusively and written afterwards. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Renaming first makes sure that of two processes only one removes the dead lock, and neither a new one. */
function removeStale(file: string, content: string): void {
  const aside = `${file}.stale.${process.pid}`
  try {
    renameSync(file, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if (read(aside) !== content) link(aside, file)
  rmSync(aside, { force: true })
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function parse(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Holder
    return Number.isSafeInteger(value.pid) ? value : undefined
  } catch {
    // A lock cut short by a crash of the machine names nobody, so nobody holds it.
    return undefined
  }
}

function isAlive({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const now = startOf(pid)
  return started === null || now === null || started === now
}

/** What tells two processes with the same pid apart, where the system shows it (Linux); else null. */
function startOf(pid: number): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The command name in parentheses may hold anything; the start time is the 20th word after it.
    return `${boot}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    return null
  }
}
