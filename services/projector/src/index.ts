export { migrateProjection } from './migrate.ts'
export {
  createProjector,
  type Projector,
  type ProjectorDeps,
  type ProjectorOptions,
  type ProjectorStatus,
} from './projector.ts'
