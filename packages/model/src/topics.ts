import { MODEL_NAMES, type ModelName } from './generated/types.ts'

export const RAW_TOPIC = 'ats.raw'
export const OBSERVED_TOPIC = 'ats.observed'
export const SYNCS_TOPIC = 'ats.syncs'
/**
 * Kinds of commands: `sync_full`, `sync_delta`; `confirm_absence`, a partition's answer to a sweep (`SweepReport`), from the diff processor;
 * `held_confirm`, `held_discard`, the decision about a held sweep (payload `{model, sync_id}`).
 */
export const COMMANDS_TOPIC = 'ats.commands'
export const COMMAND_RESULTS_TOPIC = 'ats.command-results'
export const DEAD_LETTERS_TOPIC = 'ats.dead-letters'
/** The last complete run of every integration and model, by partition; compacted. */
export const COMPLETE_RUNS_TOPIC = 'ats.complete-runs'

/** Topic of a model's changes: the public contract. */
export const changesTopic = (model: ModelName): string => `ats.${model}.changes`

/** Topic of a model's snapshots, compacted by record key. */
export const snapshotsTopic = (model: ModelName): string => `ats.${model}.snapshots`

/** Topics that the diff processor's state is restored from: their keys and values are its own. */
export const stateTopics = (): string[] => [...MODEL_NAMES.map(snapshotsTopic), COMPLETE_RUNS_TOPIC]

export interface TopicPlan {
  readonly name: string
  readonly partitions: number
  readonly cleanup: 'delete' | 'compact'
  /** Milliseconds; null keeps records for ever. */
  readonly retentionMs: number | null
}

const DAY_MS = 86_400_000

export interface TopicPlanOptions {
  readonly partitions: number
  readonly rawRetentionDays?: number
  readonly observedRetentionDays?: number
}

/** Every topic of tidemark with its partitions and retention (design section 4). */
export function topicPlans({
  partitions,
  rawRetentionDays = 14,
  observedRetentionDays = 30,
}: TopicPlanOptions): TopicPlan[] {
  const plan = (name: string, days: number | null, cleanup: 'delete' | 'compact' = 'delete'): TopicPlan => ({
    name,
    partitions,
    cleanup,
    retentionMs: days === null ? null : days * DAY_MS,
  })
  return [
    plan(RAW_TOPIC, rawRetentionDays),
    plan(OBSERVED_TOPIC, observedRetentionDays),
    plan(SYNCS_TOPIC, 365),
    plan(COMMANDS_TOPIC, 365),
    plan(COMMAND_RESULTS_TOPIC, 365),
    plan(DEAD_LETTERS_TOPIC, 30),
    plan(COMPLETE_RUNS_TOPIC, null, 'compact'),
    ...MODEL_NAMES.flatMap((model) => [plan(changesTopic(model), null), plan(snapshotsTopic(model), null, 'compact')]),
  ]
}
