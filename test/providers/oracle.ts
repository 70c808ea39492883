import type { Mapped, MappedRecord } from '@tidemark/connector'
import {
  canonicalJson,
  MODEL_SCHEMAS,
  type ModelName,
  normalizeRecord,
  PARENT_MODEL,
  publicId,
  type RecordKey,
  recordKey,
} from '@tidemark/model'

/** A record as a complete reading shows it. */
export interface Expected {
  readonly model: ModelName
  readonly remoteKey: string
  /** Delivered fields that are compared, by name, each as canonical JSON. */
  readonly fields: ReadonlyMap<string, string>
  readonly isDeleted: boolean
}

/** Everything that a provider shows: records, and the complete lists of children. */
export interface Reading {
  readonly records: ReadonlyMap<RecordKey, Expected>
  /** `<child model> <parent key>` of every parent whose children are all listed. */
  readonly lists: ReadonlySet<string>
}

export const listName = (model: ModelName, parent: RecordKey): string => `${model} ${parent}`

/** Puts together what pages or events show, in their order, by nothing but the model's own normal form. */
export function readingOf(integration: string, all: readonly Mapped[]): Reading {
  const records = new Map<RecordKey, Expected>()
  const lists = new Set<string>()
  for (const { records: shown, childLists } of all) {
    for (const record of shown) {
      const key = recordKey(integration, record.model, record.remoteKey)
      records.set(key, together(records.get(key), record, key))
    }
    for (const { parentModel, parentRemoteKey, model } of childLists)
      lists.add(listName(model, recordKey(integration, parentModel, parentRemoteKey)))
  }
  return { records, lists }
}

function together(before: Expected | undefined, mapped: MappedRecord, key: RecordKey): Expected {
  const { model, remoteKey, record: input } = mapped
  const id = input['id'] ?? publicId(key)
  const { record, delivered } = normalizeRecord(model, { ...input, id })
  const values = record as unknown as Readonly<Record<string, unknown>>
  const fields = new Map(before?.fields)
  for (const { name, diff } of MODEL_SCHEMAS[model].fields)
    if (diff !== 'ignore' && name !== 'remote_deleted_at' && (delivered?.has(name) ?? true))
      fields.set(name, canonicalJson(values[name]))
  return { model, remoteKey, fields, isDeleted: values['remote_deleted_at'] !== null }
}

/** The parent's key of a child, as it stands in the child's; undefined for a record of its own. */
export const parentModelOf = (model: ModelName): ModelName | undefined => PARENT_MODEL[model]
