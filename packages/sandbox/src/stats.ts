/** Counters since the sandbox was created. */
export interface SandboxStats {
  /** Things that happened in the companies. */
  mutations: number
  requests: number
  /** Answers with an HTTP status of 400 or more, faults included. */
  errors: number
  pages: number
  rows: number
  syncs: number
  webhooksSent: number
  webhooksDelivered: number
  /** Given up after the last retry. */
  webhooksFailed: number
  webhookRetries: number
  /** Not sent: no target, lost by a fault, or the queue was full. */
  webhooksDropped: number
  lastError: string | null
}

/** Counters at zero. */
export function createStats(): SandboxStats {
  return {
    mutations: 0,
    requests: 0,
    errors: 0,
    pages: 0,
    rows: 0,
    syncs: 0,
    webhooksSent: 0,
    webhooksDelivered: 0,
    webhooksFailed: 0,
    webhookRetries: 0,
    webhooksDropped: 0,
    lastError: null,
  }
}
