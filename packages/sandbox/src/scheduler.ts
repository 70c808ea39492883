import type { Clock } from '@tidemark/base'

interface Task {
  readonly dueMs: number
  readonly run: () => void
}

/** The longest single sleep; timers cannot wait longer than 24 days. */
const SLEEP_MAX_MS = 3_600_000

/** Runs functions at given times of a Clock, in the order of their times. */
export interface Scheduler {
  /** Schedules a function; returns how to cancel it. What is due already runs at the next turn of the loop. */
  at(dueMs: number, run: () => void): () => void
  /** Starts the loop that waits for the next due task. */
  start(): void
  /** Cancels everything and ends the loop. */
  stop(): Promise<void>
}

/** Creates a scheduler; `onError` is told of a task that threw, and the others go on. */
export function createScheduler(clock: Clock, onError: (error: unknown) => void): Scheduler {
  const tasks: Task[] = []
  let stopped = true
  let wake = new AbortController()
  let loop: Promise<void> = Promise.resolve()

  const runDue = (): void => {
    while (!stopped && tasks[0] && tasks[0].dueMs <= clock.now()) {
      const task = tasks.shift() as Task
      try {
        task.run()
      } catch (error) {
        onError(error)
      }
    }
  }

  const run = async (): Promise<void> => {
    while (!stopped) {
      runDue()
      if (stopped) return
      wake = new AbortController()
      const waitMs = tasks[0] ? Math.max(1, tasks[0].dueMs - clock.now()) : SLEEP_MAX_MS
      await clock.sleep(Math.min(waitMs, SLEEP_MAX_MS), wake.signal)
    }
  }

  return {
    at(dueMs, task) {
      const entry = { dueMs, run: task }
      let at = tasks.length
      while (at > 0 && (tasks[at - 1] as Task).dueMs > dueMs) at--
      tasks.splice(at, 0, entry)
      if (at === 0) wake.abort()
      return () => {
        const index = tasks.indexOf(entry)
        if (index >= 0) tasks.splice(index, 1)
      }
    },
    start() {
      if (!stopped) return
      stopped = false
      loop = run()
    },
    async stop() {
      stopped = true
      tasks.length = 0
      wake.abort()
      await loop
    },
  }
}
