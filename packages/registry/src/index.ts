export type { CompatibilityMode, SchemaRegistry } from './registry.ts'
