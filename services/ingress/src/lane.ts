/** What the lane of one source needs to know of a task. */
export interface LaneTask {
  readonly integrationId: string
  readonly full: boolean
  /** Of its pending request. */
  readonly hinted: boolean
}

/**
 * The fetches of one source that are ready, and how many are in flight. Webhook hints go before what has changed, that before complete
 * fetches, which never take the last slot: live overtakes backfill. Within each the integration with the fewest fetches in flight goes first, so that a
 * large one does not keep the others waiting; each fetch has one request in flight, so they share the source's quota alike.
 */
export class Lane<T extends LaneTask> {
  readonly #concurrency: number
  /** By priority: hinted, changed, complete; each in the order of arrival. */
  readonly #ready: readonly [Set<T>, Set<T>, Set<T>] = [new Set(), new Set(), new Set()]
  /** Fetches in flight per integration. */
  readonly #runningOf = new Map<string, number>()
  #running = 0
  #runningFull = 0

  constructor(concurrency: number) {
    this.#concurrency = concurrency
  }

  /** Makes a task ready, in the place that its pending request has now. */
  enqueue(task: T): void {
    const queue = this.#ready[task.full ? 2 : task.hinted ? 0 : 1]
    if (queue.has(task)) return
    this.dequeue(task)
    queue.add(task)
  }

  dequeue(task: T): void {
    for (const queue of this.#ready) queue.delete(task)
  }

  /** Takes the next task, if there is a slot for it. */
  take(): T | undefined {
    if (this.#running >= this.#concurrency) return undefined
    const fullMax = Math.max(1, this.#concurrency - 1)
    for (const [priority, queue] of this.#ready.entries()) {
      if (priority === 2 && this.#runningFull >= fullMax) return undefined
      const task = fairest(queue, this.#runningOf)
      if (task === undefined) continue
      queue.delete(task)
      return task
    }
    return undefined
  }

  /** A fetch of the task is in flight. */
  started(task: T): void {
    this.#count(task, 1)
  }

  /** It is not any more. */
  ended(task: T): void {
    this.#count(task, -1)
  }

  #count({ integrationId, full }: T, by: number): void {
    this.#running += by
    if (full) this.#runningFull += by
    const count = (this.#runningOf.get(integrationId) ?? 0) + by
    if (count > 0) this.#runningOf.set(integrationId, count)
    else this.#runningOf.delete(integrationId)
  }
}

/** Of the integrations that wait, one with the fewest fetches in flight; of its tasks the one that came first. */
function fairest<T extends LaneTask>(queue: ReadonlySet<T>, running: ReadonlyMap<string, number>): T | undefined {
  let best: T | undefined
  let fewest = Number.POSITIVE_INFINITY
  for (const task of queue) {
    const count = running.get(task.integrationId) ?? 0
    if (count >= fewest) continue
    best = task
    fewest = count
    if (count === 0) break
  }
  return best
}
