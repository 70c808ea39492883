import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { classify, type DirectoryLock, lockDirectory, TidemarkError } from '@tidemark/base'
import { type Database, open as openLmdb, type RootDatabase } from 'lmdb'
import { checkFile, corrupt, hasLog } from './preflight.ts'

/** A table of byte keys and byte values. */
export type Table = Database<Buffer, Buffer>

/** Prefixes each key of the state table with the key range in `range`, which is set before every call. */
export class StateKeys {
  range = 0
  /** Key range of the key that was read last. */
  found = 0

  writeKey = (key: Uint8Array, target: Buffer, start: number): number => {
    const range = this.range
    target[start] = range >>> 24
    target[start + 1] = range >>> 16
    target[start + 2] = range >>> 8
    target[start + 3] = range
    target.set(key, start + 4)
    return start + 4 + key.length
  }

  /** Copies the key, without its prefix: LMDB's buffer is reused. */
  readKey = (source: Buffer, start: number, end: number): Buffer => {
    this.found = source.readUInt32BE(start)
    return Buffer.from(source.subarray(start + 4, end))
  }
}

export interface Environment {
  readonly path: string
  readonly readOnly: boolean
  readonly root: RootDatabase<Buffer, Buffer>
  readonly topics: Table
  readonly partitions: Table
  readonly batches: Table
  /** One small row per batch; see IndexRow. */
  readonly index: Table
  readonly groups: Table
  readonly owners: Table
  readonly state: Table
  readonly stateKeys: StateKeys
  /** Key ranges of the state table that nobody owns any more. */
  readonly garbage: Table
  readonly counters: Table
  readonly schemas: Table
  readonly schemaIds: Table
  readonly subjects: Table
  readonly modes: Table
  close(): Promise<void>
}

export interface EnvironmentOptions {
  readonly path: string
  readonly readOnly: boolean
  /** Address space to begin with; it grows by itself. */
  readonly mapBytes: number
}

const FORMAT_KEY = Buffer.from('tidemark-log-format')
const FORMAT = '1'
const TABLES = 16

/**
 * Opens the LMDB environment of a data directory, creating it when missing (not read-only). One process may write, any number may
 * read. Throws DATA_DIRECTORY_LOCKED, DATA_DIRECTORY_CORRUPT, DISK_FULL.
 */
export function openEnvironment(options: EnvironmentOptions): Environment {
  const path = resolve(options.path)
  const exists = hasLog(path)
  if (options.readOnly && !exists) throw corrupt(path, 'there is no log to read')
  const fresh = !options.readOnly && !existsSync(path)
  if (fresh) mkdirSync(path, { recursive: true })
  const lock = options.readOnly ? undefined : lockDirectory(path)
  try {
    if (exists) checkFile(path)
    const root = openRoot(path, options)
    try {
      checkFormat(root, path, options.readOnly)
      const openAll = (): Environment => openTables(root, path, options.readOnly, lock)
      // One transaction, and one wait for the disk, for all tables that are created.
      const environment = options.readOnly ? openAll() : root.transactionSync(openAll)
      if (!exists) syncDirectories(path)
      return environment
    } catch (error) {
      void root.close()
      throw error
    }
  } catch (error) {
    lock?.release()
    throw translate(error, path)
  }
}

/**
 * LMDB's classic durability: a commit writes the pages, calls fdatasync, and writes the meta page through a file opened with O_DSYNC
 * before its promise resolves. lmdb's default (overlappingSync) resolves before the pages are on disk, so it is turned off.
 */
function openRoot(path: string, { readOnly, mapBytes }: EnvironmentOptions): RootDatabase<Buffer, Buffer> {
  return openLmdb<Buffer, Buffer>({
    path,
    readOnly,
    mapSize: mapBytes,
    maxDbs: TABLES,
    overlappingSync: false,
    // The committer batches by itself, and lmdb's batching leaves a promise behind that ends the process when a commit fails.
    eventTurnBatching: false,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
  })
}

function checkFormat(root: RootDatabase<Buffer, Buffer>, path: string, readOnly: boolean): void {
  const found = root.getBinary(FORMAT_KEY)?.toString()
  if (found === FORMAT) return
  if (found !== undefined) {
    throw corrupt(path, `it has format ${found}, and this version of tidemark reads format ${FORMAT}`)
  }
  for (const _ of root.getKeys({ limit: 1 })) throw corrupt(path, 'it is an LMDB database of another program')
  if (readOnly) throw corrupt(path, 'it is empty')
  root.putSync(FORMAT_KEY, Buffer.from(FORMAT))
}

function openTables(
  root: RootDatabase<Buffer, Buffer>,
  path: string,
  readOnly: boolean,
  lock: DirectoryLock | undefined,
): Environment {
  const table = (name: string, stateKeys?: StateKeys): Table => {
    const keys = stateKeys ? { keyEncoder: stateKeys } : { keyEncoding: 'binary' as const }
    const db = root.openDB<Buffer, Buffer>(name, { encoding: 'binary', ...keys })
    if (!db) throw corrupt(path, `the table ${name} is missing`)
    return db
  }
  const stateKeys = new StateKeys()
  return {
    path,
    readOnly,
    root,
    topics: table('topics'),
    partitions: table('partitions'),
    batches: table('batches'),
    index: table('index'),
    groups: table('groups'),
    owners: table('owners'),
    state: table('state', stateKeys),
    stateKeys,
    garbage: table('garbage'),
    counters: table('counters'),
    schemas: table('schemas'),
    schemaIds: table('schema-ids'),
    subjects: table('subjects'),
    modes: table('modes'),
    async close() {
      await root.close()
      lock?.release()
    },
  }
}

/** A new file is only safe against power loss once the directories that name it are on disk too. */
function syncDirectories(path: string): void {
  for (const directory of [path, dirname(path)]) {
    const fd = openSync(directory, 'r')
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  }
}

const LMDB_CORRUPT = new Set([-30797, -30796, -30794, -30793])
const LMDB_PANIC = -30795
const LMDB_MAP_FULL = -30792
/** EIO: LMDB reports a write that was cut short so, which is how a full disk often shows first. */
const SYSTEM_FULL = new Set([5, 27, 28, 122])

/** Turns what LMDB or the file system throws into a TidemarkError that names the directory and says what to do. */
export function translate(error: unknown, path: string): TidemarkError {
  if (error instanceof TidemarkError) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  if (message.includes('closed database')) {
    return new TidemarkError('LOG_CLOSED', `The log in ${path} is closed.`, { cause: error, fields: { path } })
  }
  const number = typeof code === 'number' ? code : 0
  if (LMDB_CORRUPT.has(number)) return corrupt(path, message, error)
  if (number === LMDB_MAP_FULL || SYSTEM_FULL.has(number) || classify(error).code === 'DISK_FULL') {
    return new TidemarkError(
      'DISK_FULL',
      `The log in ${path} could not be written (${message}). Nothing of this write was kept. Free space on its disk, or shorten the topics' retention.`,
      { cause: error, fields: { path } },
    )
  }
  if (number === LMDB_PANIC) {
    return new TidemarkError(
      'INTERNAL',
      `The log in ${path} failed while committing (${message}). Start the process anew.`,
      {
        cause: error,
        fields: { path },
      },
    )
  }
  return classify(error)
}
