import type { Company } from '../world/company.ts'
import type { Mirror } from './mirror.ts'

export interface EndUser {
  readonly organization_name: string
  readonly creator_email: string | null
  readonly origin_id: string | null
}

export type IntegrationState = 'ACTIVE' | 'INVALID' | 'INACTIVE'
export type QaStatus = 'PENDING' | 'FAILED' | 'PASSED'
export type SetupStatus = 'INCOMPLETE' | 'FINAL_SYNC_PENDING' | 'COMPLETED'

export interface RunningSync {
  readonly id: string
  readonly type: 'FULL' | 'DELTA'
  readonly startedMs: number
}

/** One connected ATS account at Kombo. */
export interface Integration {
  readonly id: string
  readonly company: Company
  readonly mirror: Mirror
  readonly endUser: EndUser
  readonly createdAtMs: number
  state: IntegrationState
  qaStatus: QaStatus
  setupStatus: SetupStatus
  /** True once a first sync ended well; only then are reads answered. */
  firstSyncDone: boolean
  running: RunningSync | null
  /** End of the last full sync, and of the last of either type. */
  lastFullMs: number
  lastSyncMs: number
  /** Cancels the scheduled next syncs. */
  cancelSchedule: () => void
}
