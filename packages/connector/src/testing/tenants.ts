/** Two customers whose systems number their records alike, and one whom nobody has configured. For tests only. */
import { type ModelName, publicId, recordKey } from '@tidemark/model'
import { expect, it } from 'vitest'
import type { MappedRecord } from '../connector.ts'
import { hasWebhooks, type Rig } from './rig.ts'
import { STRANGER } from './standIn.ts'

export function tenantCases(rig: Rig): void {
  it('keeps two customers with equal remote ids apart: no key, no id and no reference is of both', async () => {
    const { standIn } = rig
    const { neighbour } = standIn
    standIn.forbid([])
    for (const stream of new Set([standIn.stream, standIn.referring.stream])) {
      const own = await rig.records(standIn, stream)
      const theirs = await rig.records(neighbour, stream, rig.neighbour())
      expect(own.length).toBeGreaterThan(0)
      expect(theirs.map(customersView)).toEqual(own.map(customersView))
      const ids = new Set(own.flatMap((record) => idsOf(standIn.integrationId, record)))
      const shared = theirs.flatMap((record) => idsOf(neighbour.integrationId, record)).filter((id) => ids.has(id))
      expect(shared).toEqual([])
    }
  })

  it("reads a neighbour's webhook as the neighbour's, or refuses it", ({ skip }) => {
    skip(!hasWebhooks(rig), 'the provider sends no webhooks')
    const { source, standIn } = rig
    const { integrationId } = standIn.neighbour
    const own = rig.webhook(standIn.integrationId)
    const theirs = rig.webhook(integrationId)
    const neighbour = rig.neighbour()
    expect(source.readWebhook(own).integrationId).toBe(standIn.integrationId)
    expect(neighbour.verifyWebhook(theirs)).toBe(true)
    expect(neighbour.integrationOf(theirs)).toBe(integrationId)
    expect(neighbour.readWebhook(theirs).integrationId).toBe(integrationId)
    expect(source.verifyWebhook(theirs)).toBe(neighbour === source)
    expect(neighbour.verifyWebhook(own)).toBe(neighbour === source)
  })

  it('reads a webhook of an integration that nobody configured as that one, where it may take new ones on; else refuses it', ({
    skip,
  }) => {
    skip(!hasWebhooks(rig), 'the provider sends no webhooks')
    const { source } = rig
    const request = rig.webhook(STRANGER)
    expect(source.verifyWebhook(request)).toBe(source.acceptsNewIntegrations)
    if (!source.acceptsNewIntegrations) return
    expect(source.integrationOf(request)).toBe(STRANGER)
    const { integrationId, effects } = source.readWebhook(request)
    expect(integrationId).toBe(STRANGER)
    expect(effects.length).toBeGreaterThan(0)
  })
}

/** What both customers see alike. */
const customersView = ({ model, kind, record }: MappedRecord): unknown[] => [model, kind, record['remote_id']]

/** Everything that identifies a record or refers to one: its key, its public id, and those that it names. */
function idsOf(integrationId: string, { model, remoteKey, record }: MappedRecord): string[] {
  const key = recordKey(integrationId, model as ModelName, remoteKey)
  const own = record['id'] ?? publicId(key)
  const named = Object.entries(record).flatMap(([name, value]) =>
    name.endsWith('_id') && !name.endsWith('remote_id') && typeof value === 'string' ? [value] : [],
  )
  return [key, String(own), ...named]
}
