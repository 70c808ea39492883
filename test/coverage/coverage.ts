/**
 * Which fields of the model each connector delivers, found out by running it: every stream is read from the provider's simulator, every record
 * must be one that the model accepts, and what no simulated company has is tried with the connector's own fixtures.
 */
import type { MappedRecord } from '@tidemark/connector'
import { MODEL_SCHEMAS, type ModelName, normalizeRecord } from '@tidemark/model'
import { FIXTURES } from './fixtures.ts'
import { CONNECTORS, type ConnectorName, type Reading } from './reading.ts'
import { SIMULATED } from './simulated.ts'

/**
 * How a field was seen, best first: with a value read from the simulator; with a value only in a fixture; never but as null or as a text, list
 * or object without any content.
 */
const SIGHTS = ['value', 'fixture', 'empty'] as const
export type Sight = (typeof SIGHTS)[number]

/** Models of a connector, each with the fields that were seen. A model that the connector does not have is absent. */
export type Coverage = ReadonlyMap<ModelName, ReadonlyMap<string, Sight>>

/** Reads all connectors, one after another. Throws when a simulator or fixture cannot be read or mapped. */
export async function collectCoverage(): Promise<ReadonlyMap<ConnectorName, Coverage>> {
  const all = new Map<ConnectorName, Coverage>()
  for (const name of CONNECTORS) all.set(name, coverageOf(name, await SIMULATED[name](), FIXTURES[name]()))
  return all
}

function coverageOf(name: ConnectorName, { models, records }: Reading, fixtures: readonly MappedRecord[]): Coverage {
  const coverage = new Map([...models].map((model) => [model, new Map<string, Sight>()]))
  const see = (record: MappedRecord, sight: 'value' | 'fixture'): void => {
    const fields = coverage.get(record.model)
    if (!fields)
      throw new RangeError(`${name} maps a record of ${record.model}, which none of its streams is the origin of`)
    seeRecord(fields, record, sight)
  }
  for (const record of records) see(record, 'value')
  for (const record of fixtures) see(record, 'fixture')
  return coverage
}

function seeRecord(fields: Map<string, Sight>, { model, record }: MappedRecord, sight: 'value' | 'fixture'): void {
  // Delivered is only what the model takes; it throws on a value that it refuses. An id is given by ingress where a connector has none.
  normalizeRecord(model, { id: 'x', ...record })
  for (const { name } of MODEL_SCHEMAS[model].fields) {
    const value = record[name]
    if (value === undefined) continue
    const seen: Sight = hasContent(value) ? sight : 'empty'
    const before = fields.get(name)
    if (before === undefined || SIGHTS.indexOf(seen) < SIGHTS.indexOf(before)) fields.set(name, seen)
  }
}

/** False for null and empty text, and for a list or an object that holds nothing else. */
export function hasContent(value: unknown): boolean {
  if (value === null || value === undefined || value === '') return false
  return typeof value !== 'object' || Object.values(value).some(hasContent)
}

/** Null and empty do not count. */
export const isCovered = (sight: Sight): boolean => sight !== 'empty'
