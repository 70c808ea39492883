import { uuidOf } from './ids.ts'

export interface WriteResult {
  readonly recordId: number
  readonly resourceLocation: string
  readonly data: Readonly<Record<string, unknown>>
}

/** What becomes of writes: they finish, are refused row by row, or stay pending for ever. */
export type JobMode = 'finish' | 'data_errors' | 'never'

interface Job {
  readonly mode: JobMode
  readonly rows: number
  readonly results: readonly WriteResult[]
  readonly problem: string | null
  pendingPolls: number
}

/** Jobs that can still be asked for. */
const JOBS_MAX = 1000

/** Writes are done when they are sent, or never; their results are told later. */
export class JobQueue {
  readonly #jobs = new Map<string, Job>()
  readonly #pendingPolls: number
  #number = 0
  /** Of the next writes. */
  mode: JobMode = 'finish'

  constructor(pendingPolls: number) {
    this.#pendingPolls = pendingPolls
  }

  /** A new id, as writes and webhooks have. */
  nextId(): string {
    return uuidOf('job', String(this.#number++))
  }

  /** Carries out a write of some rows; a RangeError of it is what HR WORKS tells the writer. */
  submit(kind: string, rows: number, write: () => readonly WriteResult[]): string {
    const id = this.nextId()
    const { mode } = this
    let results: readonly WriteResult[] = []
    let problem: string | null = mode === 'data_errors' ? 'refused on request' : null
    try {
      if (mode === 'finish') results = write()
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      problem = error.message
    }
    this.#jobs.set(`${kind}/${id}`, { mode, rows, results, problem, pendingPolls: this.#pendingPolls })
    const [oldest] = this.#jobs.keys()
    if (this.#jobs.size > JOBS_MAX && oldest !== undefined) this.#jobs.delete(oldest)
    return id
  }

  /** What a poll answers; undefined for a job that nobody knows. */
  poll(kind: string, id: string): object | undefined {
    const job = this.#jobs.get(`${kind}/${id}`)
    if (job === undefined) return undefined
    const base = { generalErrors: [], dataErrors: [], result: [] }
    if (job.mode === 'never' || job.pendingPolls-- > 0) return { ...base, status: 'pending' }
    if (job.problem === null)
      return { ...base, status: 'finished', result: job.results.map((row) => ({ ...row, errors: [], warnings: [] })) }
    const dataErrors = Array.from({ length: job.rows }, (_, recordId) => ({
      recordId,
      attribute: null,
      message: job.problem,
    }))
    return { ...base, status: 'finished', dataErrors }
  }
}
