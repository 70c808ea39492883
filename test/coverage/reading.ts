import type { MappedRecord } from '@tidemark/connector'
import type { ModelName } from '@tidemark/model'

/** The connectors, in the order of the table's columns. */
export const CONNECTORS = ['kombo', 'traffit', 'hrworks', 'knit'] as const
export type ConnectorName = (typeof CONNECTORS)[number]

/** What one connector made of everything that its provider's simulator has. */
export interface Reading {
  /** Models that its streams are the origin of. */
  readonly models: ReadonlySet<ModelName>
  readonly records: readonly MappedRecord[]
}
