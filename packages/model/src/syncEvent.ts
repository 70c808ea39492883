import type { ModelCount, SyncEvent } from './generated/types.ts'

/** A sync event with everything absent null. */
export function syncEvent(
  fields: Partial<SyncEvent> & Pick<SyncEvent, 'source' | 'integration_id' | 'event' | 'at'>,
): SyncEvent {
  return {
    sync_id: null,
    kind: null,
    stream: null,
    streams: [],
    state: null,
    watermark: null,
    pages: null,
    counts: [],
    error_code: null,
    message: null,
    reason: null,
    model: null,
    suspects: null,
    records: null,
    actor: null,
    details: null,
    ...fields,
  }
}

/** Counts of a model, those not given 0. */
export const modelCount = (fields: Partial<ModelCount> & Pick<ModelCount, 'model'>): ModelCount => ({
  observed: 0,
  failed: 0,
  created: 0,
  updated: 0,
  deleted: 0,
  unchanged: 0,
  drift: 0,
  ...fields,
})
