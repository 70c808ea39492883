export { canonicalRecord, partialInput, recordInput, vendorText } from './arbitrary.ts'
export { ManualClock } from './clock.ts'
export { memoryRegistry } from './registry.ts'
