import { type DirectoryLock, type ErrorCode, lockDirectory, TidemarkError } from '@tidemark/base'
import { postStream, type Target } from './client.ts'
import type { Config } from './config.ts'
import type { CommandContext } from './program.ts'
import { readServerFile } from './serverFile.ts'

interface Line<P, R> {
  readonly progress?: P
  readonly report?: R
  readonly error?: { readonly code: ErrorCode; readonly message: string }
}

/** Long work in a running process (`POST`, answered in JSON lines): tells its progress and resolves with its report. */
export async function runOnline<P, R>(
  target: Target,
  path: string,
  signal: AbortSignal,
  onProgress: (progress: P) => void,
): Promise<R> {
  for await (const text of postStream(target, path, signal)) {
    const { progress, report, error } = JSON.parse(text) as Line<P, R>
    if (progress) onProgress(progress)
    if (error) throw new TidemarkError(error.code, error.message)
    if (report) return report
  }
  const message = `the tidemark at ${target.url} ended before its report; see its log`
  throw new TidemarkError('PROVIDER_ANSWER_INVALID', message)
}

/**
 * Does something with a configuration's log and store: here, when they are on servers or nobody has the directory, else in the process
 * that has it.
 */
export async function hereOrOnline<R>(
  context: CommandContext,
  config: Config,
  here: () => Promise<R>,
  online: (target: Target) => Promise<R>,
): Promise<R> {
  // Topics and tables on servers have no owner.
  if (config.mode === 'kafka') return here()
  let lock: DirectoryLock
  try {
    lock = lockDirectory(config.data)
  } catch (error) {
    const server = readServerFile(config.data)
    if (!(error instanceof TidemarkError) || error.code !== 'DATA_DIRECTORY_LOCKED' || server === undefined) throw error
    return online({ url: server.url, key: server.key ?? context.io.env['TIDEMARK_KEY'] })
  }
  try {
    return await here()
  } finally {
    lock.release()
  }
}
