/** How far an export or import is, in offsets: what compaction removed counts too. */
export interface TransferProgress {
  readonly topic: string
  readonly done: number
  readonly total: number
}
