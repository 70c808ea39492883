import type { OpenCodec } from '@tidemark/codec'
import { type Appendable, observationBuilder } from '@tidemark/testing/observations'
import { PARTITIONS } from './pipeline.ts'

const START_MS = Date.UTC(2026, 2, 2, 9, 0, 0)
const integrationId = 'traffit:8d1hp'

/** What happens to one candidate in the documentation's example, and to the job's stages beside it. */
export function story(codec: OpenCodec): Appendable[] {
  const { observe, childSweep } = observationBuilder(codec, PARTITIONS)
  const frodo = { integrationId, model: 'candidates', remote: ['4711'] } as const
  const record = {
    remote_id: '4711',
    first_name: 'Frodo',
    last_name: 'Baggins',
    email_addresses: [{ email_address: 'frodo@shire.example', type: 'private' }],
    custom_fields: { salary: { amount: 4200, currency: 'EUR' } },
  }
  const webhook = {
    kind: 'webhook',
    sync_id: null,
    event_name: 'candidate.updated',
    event_id: 'evt-88',
    actor: 'recruiter@example.com',
    raw: { partition: 1, offset: 17 },
    evidence: null,
  } as const
  return [
    observe({ ...frodo, atMs: START_MS, record }),
    observe({
      ...frodo,
      atMs: START_MS + 3_600_000,
      record: {
        ...record,
        last_name: 'Underhill',
        title: 'Gardener',
        custom_fields: { salary: { amount: 4500, currency: 'EUR' } },
      },
      fields: { cause: webhook, remoteVersion: START_MS + 3_599_000 },
    }),
    observe({
      ...frodo,
      atMs: START_MS + 7_200_000,
      fields: {
        kind: 'deleted',
        cause: {
          ...webhook,
          event_name: 'candidate.deleted',
          event_id: 'evt-90',
          evidence: { kind: 'provider_event', detail: null, pages: null, records: null },
        },
      },
    }),
    observe({
      integrationId,
      model: 'jobs',
      remote: ['12'],
      atMs: START_MS,
      record: { remote_id: '12', name: 'Gardener' },
    }),
    observe({ integrationId, model: 'job-stages', remote: ['12', 's1'], atMs: START_MS + 1, record: { index: 1 } }),
    childSweep({ integrationId, model: 'job-stages', parent: ['12'], children: [], atMs: START_MS + 1000 }),
  ]
}
