import { type ModelName, recordKey } from '@tidemark/model'

/** Record keys between two texts, in the order of bytes: `.`, `/` and `0` follow each other there. */
export interface KeyRange {
  readonly after: string
  readonly before: string
}

/** The record keys of an integration. */
export function keysOfIntegration(integrationId: string): KeyRange {
  const key = recordKey(integrationId, 'jobs', '')
  const prefix = key.slice(0, key.indexOf('/'))
  return { after: `${prefix}/`, before: `${prefix}0` }
}

/** The record keys of an integration's records of a model. */
export function keysOfModel(integrationId: string, model: ModelName): KeyRange {
  const prefix = recordKey(integrationId, model, '').slice(0, -1)
  return { after: `${prefix}.`, before: `${prefix}0` }
}
