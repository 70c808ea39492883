import { abortable } from '@tidemark/base'

export interface OutgoingWebhook {
  readonly url: string
  /** Beside the content type, which is JSON. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  readonly timeoutMs: number
  /** The simulator is stopped: nobody waits for the answer any more. */
  readonly stopped: AbortSignal
  /** Told why there was no answer, unless it was because of `stopped`. */
  readonly onFailure?: (reason: string) => void
}

/**
 * Posts one webhook and reads its answer to the end; redirects are not followed. Returns the HTTP status, or null when there was no answer in time. Never
 * throws: an unreachable receiver is an ordinary outcome, which providers meet with another try.
 */
export async function postWebhook(webhook: OutgoingWebhook): Promise<number | null> {
  const { url, timeoutMs, stopped, onFailure } = webhook
  const headers = { 'content-type': 'application/json', ...webhook.headers }
  const body = webhook.body as string | Uint8Array<ArrayBuffer>
  try {
    return await abortable(timeoutMs, stopped, async (signal) => {
      const response = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal })
      await response.arrayBuffer()
      return response.status
    })
  } catch (error) {
    if (!stopped.aborted) onFailure?.(error instanceof Error ? error.message : String(error))
    return null
  }
}

/** What receivers mean by having taken a webhook. */
export const isTaken = (status: number | null): boolean => status !== null && status >= 200 && status < 300
