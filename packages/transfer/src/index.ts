export { type ExportOptions, type ExportReport, type ExportSource, exportLog, type GroupTopic } from './export.ts'
export { type ImportOptions, type ImportReport, type ImportTarget, importLog } from './import.ts'
export type { TransferProgress } from './progress.ts'
