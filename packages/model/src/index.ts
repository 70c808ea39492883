export { canonicalJson, compareCodePoints } from './canonical.ts'
export * from './generated/types.ts'
export {
  childPrefix,
  escapeKeyPart,
  murmur2,
  parseRecordKey,
  partitionOf,
  publicId,
  type RecordKey,
  type RecordKeyParts,
  recordKey,
  remoteKey,
  remoteKeyParts,
  rootKey,
} from './keys.ts'
export { childModels, isModelName, PARENT_MODEL } from './models.ts'
export { type Normalized, normalizeRecord, parseTime, type RecordInput, type RecordInputOf } from './normalize.ts'
export { type AvroField, type AvroRecord, type AvroType, isOptional, type ModelSchema, required } from './schema.ts'
export { parseSweepReport, type SweepReport, sweepReportText } from './sweepReport.ts'
export { modelCount, syncEvent } from './syncEvent.ts'
export {
  COMMAND_RESULTS_TOPIC,
  COMMANDS_TOPIC,
  COMPLETE_RUNS_TOPIC,
  changesTopic,
  DEAD_LETTERS_TOPIC,
  OBSERVED_TOPIC,
  RAW_TOPIC,
  SYNCS_TOPIC,
  snapshotsTopic,
  stateTopics,
  type TopicPlan,
  type TopicPlanOptions,
  topicPlans,
} from './topics.ts'
