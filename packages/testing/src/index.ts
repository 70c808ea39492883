export { canonicalRecord, partialInput, recordInput, vendorText } from './arbitrary.ts'
export { ManualClock } from './clock.ts'
export {
  type Appendable,
  type ObservationSpec,
  observationBuilder,
  type SweepSpec,
  TEST_CAUSE,
} from './observations.ts'
export { memoryRegistry } from './registry.ts'
export { MemoryState } from './state.ts'
