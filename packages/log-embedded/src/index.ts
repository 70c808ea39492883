export { type Embedded, type EmbeddedOptions, openEmbedded } from './embedded.ts'
export type { MaintenanceOptions, MaintenanceReport, PartitionReport } from './maintenance.ts'
export type { GroupTopic } from './positions.ts'
