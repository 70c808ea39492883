/** Compatibility modes of Confluent's registry that tidemark uses. */
export type CompatibilityMode = 'NONE' | 'BACKWARD' | 'FULL' | 'FULL_TRANSITIVE'

/**
 * A Confluent-compatible schema registry. Ids are global: the same schema text under two subjects has one id. Ids never change
 * their meaning. Contract suite: `@tidemark/registry/contract`.
 */
export interface SchemaRegistry {
  /**
   * Registers a schema under a subject and returns its id; registering it again returns the same id. Throws SCHEMA_INCOMPATIBLE
   * when the subject's mode refuses it (the message names the subject and the difference).
   */
  register(subject: string, schema: string): Promise<number>
  /** The schema text of an id; throws SCHEMA_UNKNOWN. */
  schemaById(id: number): Promise<string>
  /** All versions of a subject, oldest first: id and schema text. Empty for an unknown subject. */
  versions(subject: string): Promise<{ readonly version: number; readonly id: number; readonly schema: string }[]>
  /** All subjects in name order. */
  subjects(): Promise<string[]>
  /** Sets the mode for later registrations under a subject. The default is FULL_TRANSITIVE. */
  setCompatibility(subject: string, mode: CompatibilityMode): Promise<void>
  close(): Promise<void>
}
