/** When a sweep waits for an operator: a provider that suddenly shows far less is more likely broken than empty. */
export interface SweepGuard {
  /** Share of a model's records, 0 to 1, above which a sweep is held. */
  readonly share: number
  /** Fewer deletions than this are never held. */
  readonly recordsMin: number
}

/** Design section 6. */
export const DEFAULT_GUARD: SweepGuard = { share: 0.3, recordsMin: 50 }

/** Whether deleting `suspects` of `records` needs somebody's word. */
export function isHeld({ share, recordsMin }: SweepGuard, suspects: number, records: number): boolean {
  return suspects >= recordsMin && suspects > share * records
}
