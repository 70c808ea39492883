export { projectionLag } from './lag.ts'
export { migrateProjection } from './migrate.ts'
export type { PartitionLag } from './progress.ts'
export {
  createProjector,
  type Projector,
  type ProjectorDeps,
  type ProjectorOptions,
  type ProjectorStatus,
} from './projector.ts'
export { rebuildProjection } from './rebuild/rebuild.ts'
export type { Gap, RebuildDeps, RebuildOptions, RebuildPhase, RebuildProgress, RebuildResult } from './rebuild/types.ts'
