import { TidemarkError } from '@tidemark/base'
import { OBSERVED_TOPIC } from '@tidemark/model'

/** What the processor asks the schema registry. */
export interface SchemaLookup {
  /** The schema text of an id; throws SCHEMA_UNKNOWN, REGISTRY_UNAVAILABLE. */
  schemaById(id: number): Promise<string>
}

/**
 * Schema ids that this build does not know. A schema of somebody else makes its records dead letters; one of ours that is newer than this
 * build must stop the task instead, so that nothing is set aside that an upgrade could read.
 */
export interface ForeignSchemas {
  has(id: number): boolean
  /** Asks the registry about an id. Throws SCHEMA_UNKNOWN for a newer schema of ours, REGISTRY_UNAVAILABLE. */
  learn(id: number): Promise<void>
}

const KNOWN_MAX = 10_000
const OURS = 'tidemark.ats'

export function createForeignSchemas(lookup: SchemaLookup | undefined): ForeignSchemas {
  const foreign = new Set<number>()
  return {
    // Without a registry to ask, nothing can be newer than what is known.
    has: (id) => lookup === undefined || foreign.has(id),
    async learn(id) {
      const text = await lookup?.schemaById(id).catch((error: unknown) => {
        if (error instanceof TidemarkError && error.code === 'SCHEMA_UNKNOWN') return undefined
        throw error
      })
      if (text !== undefined && namespaceOf(text) === OURS) {
        throw new TidemarkError(
          'SCHEMA_UNKNOWN',
          `${OBSERVED_TOPIC} holds records of schema id ${id}, which is newer than this processor; upgrade it. Nothing is skipped.`,
          { fields: { schema_id: id } },
        )
      }
      if (foreign.size >= KNOWN_MAX) foreign.clear()
      foreign.add(id)
    },
  }
}

function namespaceOf(text: string): string | undefined {
  try {
    const schema = JSON.parse(text) as { readonly namespace?: unknown; readonly name?: unknown }
    if (typeof schema.namespace === 'string') return schema.namespace
    return typeof schema.name === 'string' ? schema.name.slice(0, Math.max(0, schema.name.lastIndexOf('.'))) : undefined
  } catch {
    return undefined
  }
}

/** An id that was met before anything is known about it. */
export class UnknownSchema extends Error {
  readonly id: number

  constructor(id: number) {
    super(`nothing is known about schema id ${id} yet`)
    this.id = id
  }
}
