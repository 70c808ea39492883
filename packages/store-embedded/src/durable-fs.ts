import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { PGlite } from '@electric-sql/pglite'
import { NodeFS } from '@electric-sql/pglite/nodefs'

/** What of Emscripten's node file system is used here. */
interface NodeFileSystem {
  readonly stream_ops: { fsync?: (stream: Stream) => number }
  realPath(node: unknown): string
}
interface Stream {
  readonly nfd?: number
  readonly node: unknown
}

/**
 * PGlite's node file system with an fsync that reaches the disk. Emscripten's has none, so that PostgreSQL's own fsync calls would
 * return at once, and PGlite switches them off besides. Then a committed transaction survives a killed process, but not a power cut.
 */
export class DurableFS extends NodeFS {
  /** How often PostgreSQL waited for the disk. */
  syncs = 0

  override async init(...[pg, options]: Parameters<NodeFS['init']>): ReturnType<NodeFS['init']> {
    const { emscriptenOpts } = await super.init(pg as PGlite, options)
    const hook = (module: unknown): void => {
      const { NODEFS } = module as { readonly NODEFS: NodeFileSystem }
      NODEFS.stream_ops.fsync = (stream) => {
        if (stream.nfd === undefined) syncPath(NODEFS.realPath(stream.node))
        else fsyncSync(stream.nfd)
        this.syncs++
        return 0
      }
    }
    return { emscriptenOpts: { ...emscriptenOpts, preRun: [...(emscriptenOpts.preRun ?? []), hook] } }
  }
}

/** Start parameters of a server whose commits wait for the disk, and whose texts of times are in UTC. */
export function durableParameters(defaults: readonly string[]): string[] {
  // The default of 128 MB of shared buffers is private memory here, and the pages are in the system's cache already.
  const memory = ['shared_buffers=32MB']
  const settings = [
    'fsync=on',
    'wal_sync_method=fsync',
    'synchronous_commit=on',
    'timezone=UTC',
    'datestyle=ISO',
    ...memory,
  ]
  // -F switches fsync off. Emscripten maps fsync to the file system, but not fdatasync, the default method.
  return [...defaults.filter((parameter) => parameter !== '-F'), ...settings.flatMap((setting) => ['-c', setting])]
}

function syncPath(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Writes a whole tree to disk: what was created before fsync was on. */
export function syncTree(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = join(path, entry.name)
    if (entry.isDirectory()) syncTree(child)
    else if (entry.isFile()) syncPath(child)
  }
  syncPath(path)
}
