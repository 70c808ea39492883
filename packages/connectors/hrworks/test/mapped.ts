import { readFileSync } from 'node:fs'
import type { MappedRecord } from '@tidemark/connector'
import { type ModelName, normalizeRecord, publicId, recordKey } from '@tidemark/model'
import { expect } from 'vitest'
import type { MappedRows } from '../src/mapping.ts'
import type { PostContext } from '../src/posts.ts'
import { createStatuses } from '../src/statuses.ts'

export const fixture = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8')) as Record<string, unknown>

const INTEGRATION = 'hrworks:acme'
const NOW = Date.parse('2026-03-01T09:00:00Z')

export const context = (more: Partial<PostContext> = {}): PostContext => ({
  integrationId: INTEGRATION,
  nowMs: NOW,
  statuses: createStatuses({ statusOrder: null, statusOutcomes: {} }),
  ...more,
})

export const id = (model: ModelName, remote: string): string => publicId(recordKey(INTEGRATION, model, remote))

/** The records, each accepted by the model. */
export function records({ mapped }: MappedRows): readonly MappedRecord[] {
  expect(mapped.failures).toEqual([])
  for (const { model, record } of mapped.records) normalizeRecord(model, { ...record, id: 'x' })
  return mapped.records
}
