import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { TidemarkError } from '@tidemark/base'

const PAGE_HEADER_BYTES = 24
const MAGIC = 0xbeefc0de
/** Of a meta page: offsets from the magic number to the page size, the last page number and the transaction id. */
const META = { pageSize: 24, lastPage: 120, transaction: 128 }

/** The error of a directory that cannot be used, with what to do about it. */
export function corrupt(path: string, what: string, cause?: unknown): TidemarkError {
  return new TidemarkError(
    'DATA_DIRECTORY_CORRUPT',
    `The log in ${path} cannot be read: ${what}. Restore the directory from a backup, or move it away and start with an empty one.`,
    { fields: { path }, ...(cause === undefined ? {} : { cause }) },
  )
}

/** Whether the directory holds a database file with anything in it. */
export function hasLog(path: string): boolean {
  const file = join(path, 'data.mdb')
  if (!existsSync(file)) return false
  const fd = openSync(file, 'r')
  try {
    return fstatSync(fd).size > 0
  } finally {
    closeSync(fd)
  }
}

/**
 * Checks the LMDB file before it is mapped: a file of another kind is refused by name, and a truncated one, which would end the process
 * with SIGBUS at the first read of a missing page, is found here. Throws DATA_DIRECTORY_CORRUPT.
 */
export function checkFile(path: string): void {
  const fd = openSync(join(path, 'data.mdb'), 'r')
  try {
    const size = fstatSync(fd).size
    const first = readMeta(fd, 0)
    if (!first) throw corrupt(path, 'data.mdb is not an LMDB file')
    const second = readMeta(fd, first.pageSize)
    const newest = second && second.transaction > first.transaction ? second : first
    const needed = (newest.lastPage + 1) * newest.pageSize
    if (size < needed) throw corrupt(path, `data.mdb is cut short (${size} of at least ${needed} bytes)`)
  } finally {
    closeSync(fd)
  }
}

interface Meta {
  readonly pageSize: number
  readonly lastPage: number
  readonly transaction: number
}

function readMeta(fd: number, at: number): Meta | undefined {
  const page = Buffer.alloc(256)
  if (readSync(fd, page, 0, page.length, at) < page.length) return undefined
  if (page.readUInt32LE(PAGE_HEADER_BYTES) !== MAGIC) return undefined
  const number = (field: number): number => Number(page.readBigUInt64LE(PAGE_HEADER_BYTES + field))
  return {
    pageSize: page.readUInt32LE(PAGE_HEADER_BYTES + META.pageSize),
    lastPage: number(META.lastPage),
    transaction: number(META.transaction),
  }
}
