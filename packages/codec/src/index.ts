export type { Change, Codec, CodecRegistry, Observation, ObservationFields, Observed, Singles, Snapshot } from './codec.ts'
