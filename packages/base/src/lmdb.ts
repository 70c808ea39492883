/**
 * Why lmdb (3.5) could not commit: it rejects with a general error whose `commitError` is a promise that rejects with the reason. Without a
 * handler of its own that promise ends the process. Any other error is its own reason.
 */
export async function lmdbReason(error: unknown): Promise<unknown> {
  if (typeof error !== 'object' || error === null || !('commitError' in error)) return error
  try {
    await error.commitError
    return error
  } catch (reason) {
    return reason
  }
}
