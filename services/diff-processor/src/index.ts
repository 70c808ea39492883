export type { SchemaLookup } from './foreignSchemas.ts'
export {
  createProcessor,
  type PartitionStatus,
  PROCESSOR_GROUP,
  type Processor,
  type ProcessorDeps,
  type ProcessorOptions,
} from './processor.ts'
export { processSlice, type SliceInput, type SliceLimits, type SliceResult } from './slice.ts'
export { DEFAULT_LIMITS, NETWORK_OPTIONS } from './worker.ts'
