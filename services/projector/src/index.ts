export { migrateProjection } from './migrate.ts'
export type { PartitionLag } from './progress.ts'
export {
  createProjector,
  type Projector,
  type ProjectorDeps,
  type ProjectorOptions,
  type ProjectorStatus,
} from './projector.ts'
