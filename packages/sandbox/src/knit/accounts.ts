import type { Company } from '../world/company.ts'
import { base58Id } from '../world/ids.ts'
import { type DataType, modelsOf } from './models.ts'
import type { Frequency } from './options.ts'
import type { StartTime } from './slots.ts'

/** A connected customer. */
export interface Account {
  readonly integrationId: string
  readonly company: Company
  /** Slug of the connected tool. */
  readonly app: string
  isActive: boolean
  readonly jobs: Map<DataType, SyncJob>
}

/** What Knit keeps of one data type of an account from run to run. */
export interface SyncJob {
  readonly syncJobId: string
  readonly dataType: DataType
  models: ReadonlySet<string>
  includeInactive: boolean
  frequency: Frequency
  start: StartTime | null
  destination: string | null
  isPaused: boolean
  /** By record id, as the last run saw it. */
  fingerprints: ReadonlyMap<string, string>
  /** The run that reads now; what was emitted may still be on its way. */
  running: Run | null
  lastRun: Run | null
  /** When the next delta run begins. */
  plannedMs: number | null
  cancelPlan: () => void
}

export type SyncType = 'initial_sync' | 'delta_sync'

export interface Run {
  readonly syncRunId: string
  readonly syncType: SyncType
  /** The slot of the next run stays where it is. */
  readonly honorScheduler: boolean
  readonly startedAtMs: number
  processedAtMs: number | null
  /** Records read. */
  processed: number
  /** Record events sent. */
  emitted: number
  consumed: number
  state: 'RUNNING' | 'PROCESSED' | 'COMPLETED' | 'FAILED'
}

/** The sync job of an account and data type, created when it is first asked for; its id stays the same. */
export function jobOf(account: Account, dataType: DataType): SyncJob {
  const known = account.jobs.get(dataType)
  if (known) return known
  const job: SyncJob = {
    syncJobId: `sj_${base58Id(`sync|${account.integrationId}|${dataType}`)}`,
    dataType,
    models: new Set(modelsOf(dataType)),
    includeInactive: false,
    frequency: 'standard',
    start: null,
    destination: null,
    isPaused: false,
    fingerprints: new Map(),
    running: null,
    lastRun: null,
    plannedMs: null,
    cancelPlan: () => undefined,
  }
  account.jobs.set(dataType, job)
  return job
}
