import { TidemarkError } from '@tidemark/base'

/**
 * What one partition answers to a sweep: the payload of a `confirm_absence` command. `counted` answers a sweep_end: how many records there
 * are and which the complete listing did not have. `applied` answers a sweep_apply. `skipped` answers either, with a reason.
 */
export interface SweepReport {
  readonly phase: 'counted' | 'applied' | 'skipped'
  /** Kind of the control record that is answered. */
  readonly to: string
  readonly sync_id: string
  readonly model: string
  readonly partition: number
  /** Long lists of keys are cut in parts, numbered from 0. */
  readonly part: number
  readonly parts: number
  /** Offset of the run's sweep_begin in the partition. */
  readonly begin_offset: number
  /** Records of the scope that were not deleted. */
  readonly records: number
  /** Those among them that nobody has observed since the beginning of the run. */
  readonly suspects: number
  /** Children, not deleted, of records that nobody has observed, deleted or not. */
  readonly children: number
  /** Record keys of the suspects and of the parents of those children; only where the sweep_end asks for names. */
  readonly keys: readonly string[]
  /** applied: records that were deleted. */
  readonly deleted: number
  /** skipped: why. */
  readonly reason: string | null
  /** As in the control record that is answered: who confirmed a sweep that was held, and what is needed to carry the sweep out. */
  readonly confirmed_by: string | null
  readonly fetch_started_at: number
  readonly cause_kind: string
  readonly pages: number | null
  readonly listed: number | null
  readonly names_suspects: boolean
  readonly spared: readonly string[]
}

/** JSON text for a command's payload. */
export const sweepReportText = (report: SweepReport): string => JSON.stringify(report)

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** Reads a command's payload; throws VALUE_UNDECODABLE for anything else. */
export function parseSweepReport(text: string | null): SweepReport {
  let value: unknown
  try {
    value = JSON.parse(text ?? '')
  } catch (cause) {
    throw new TidemarkError('VALUE_UNDECODABLE', 'the answer of a sweep is no JSON', { cause })
  }
  const report = value as SweepReport
  const isSound =
    typeof value === 'object' &&
    value !== null &&
    ['counted', 'applied', 'skipped'].includes(report.phase) &&
    typeof report.to === 'string' &&
    typeof report.sync_id === 'string' &&
    typeof report.model === 'string' &&
    [report.partition, report.part, report.parts, report.records, report.suspects, report.children].every(isCount) &&
    Array.isArray(report.keys) &&
    Array.isArray(report.spared)
  if (isSound) return report
  throw new TidemarkError('VALUE_UNDECODABLE', 'the answer of a sweep has not the members it should have')
}
