export { Reader, Writer } from './binary.ts'
export type {
  Change,
  Codec,
  CodecRegistry,
  Observation,
  ObservationFields,
  Observed,
  Singles,
  Snapshot,
} from './codec.ts'
export { type CompatibilityResult, checkCompatibility } from './compatibility.ts'
export { type Compiled, type CompiledField, type CompiledRecord, compileRecord } from './compile.ts'
export { FRAME_BYTES, frameHeader, frameId } from './frame.ts'
export {
  newObservationLayout,
  newSnapshotLayout,
  type ObservationLayout,
  readObservationLayout,
  readSnapshotLayout,
  type SnapshotLayout,
} from './layout.ts'
export { decodeMask, encodeMask, isDelivered } from './mask.ts'
export { KINDS, type ModelCodec, type OpenCodec, openCodec, subjectsOf } from './open.ts'
