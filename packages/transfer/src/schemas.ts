import { isDeepStrictEqual } from 'node:util'
import { TidemarkError } from '@tidemark/base'
import type { SchemaRegistry } from '@tidemark/registry'
import type { SchemaEntry } from './format.ts'

/** The registry of the target, and what it can do beyond the port. */
export interface SchemaTarget {
  readonly registry: SchemaRegistry
  /** Registers a version under the id it had, as far as the registry can; returns the id it got. Without it the order decides. */
  registerAs?(subject: string, version: SchemaEntry): Promise<number>
}

/**
 * Registers all versions so that each has the id it had: the values carry it. First looks whether all ids are free or stand for the
 * same schema, and registers nothing when not. Entries are in the order in which they were registered first. Throws
 * SCHEMA_ID_MISMATCH, and what the registry throws.
 */
export async function importSchemas(target: SchemaTarget, entries: readonly SchemaEntry[]): Promise<void> {
  for (const entry of entries) {
    const found = await schemaOf(target.registry, entry.id)
    if (found !== undefined && !isSame(found, entry.schema)) throw taken(entry)
  }
  for (const entry of entries) {
    const known = await target.registry.versions(entry.subject)
    if (known.some(({ id }) => id === entry.id)) continue
    const id = target.registerAs
      ? await target.registerAs(entry.subject, entry)
      : await target.registry.register(entry.subject, entry.schema)
    if (id !== entry.id) throw moved(entry, id)
  }
}

async function schemaOf(registry: SchemaRegistry, id: number): Promise<string | undefined> {
  try {
    return await registry.schemaById(id)
  } catch (error) {
    if (error instanceof TidemarkError && error.code === 'SCHEMA_UNKNOWN') return undefined
    throw error
  }
}

/** Registries keep white space and the order of attributes, or not (Apicurio puts a default behind the doc). */
function isSame(a: string, b: string): boolean {
  return a === b || isDeepStrictEqual(JSON.parse(a), JSON.parse(b))
}

const ADVICE = 'No record was written. Import into an empty schema registry (a new one, or a tenant of its own).'

function taken({ subject, version, id }: SchemaEntry): TidemarkError {
  return new TidemarkError(
    'SCHEMA_ID_MISMATCH',
    `Id ${id}, which the exported values carry for version ${version} of ${subject}, is another schema in this registry. ${ADVICE}`,
    { fields: { subject, version, id } },
  )
}

function moved({ subject, version, id }: SchemaEntry, got: number): TidemarkError {
  return new TidemarkError(
    'SCHEMA_ID_MISMATCH',
    `Version ${version} of ${subject} got the id ${got} in this registry, but the exported values carry ${id}. ${ADVICE}`,
    { fields: { subject, version, id, got } },
  )
}
