export { type Embedded, type EmbeddedOptions, openEmbedded } from './embedded.ts'
export type { MaintenanceOptions, MaintenanceReport, PartitionReport } from './maintenance.ts'
