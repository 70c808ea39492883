/** What mapping the records of any provider needs. Pure. */
import { TidemarkError } from '@tidemark/base'
import { type ModelName, publicId, recordKey, remoteKey } from '@tidemark/model'
import type { Mapped, MappingFailure } from './connector.ts'

/** A JSON object whose members are not known. */
export type Json = Readonly<Record<string, unknown>>

/** True for an object; false for a list and null. */
export const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Maps to nothing. */
export const NOTHING: Mapped = { records: [], childLists: [], failures: [] }

/** The public id of the record of an integration whose remote key has these parts: what references to it hold. */
export const reference = (integrationId: string, model: ModelName, ...parts: string[]): string =>
  publicId(recordKey(integrationId, model, remoteKey(...parts)))

/** The id of an attachment whose key at the provider has these parts, derived like the public ids of records. */
export const attachmentId = (integrationId: string, ...parts: string[]): string =>
  // No model is called so: no record has the id of a file.
  publicId(recordKey(integrationId, 'attachments' as ModelName, remoteKey(...parts)))

/** A record of a provider that cannot be mapped: which one, what is wrong with it, and its JSON. */
export function mappingFailure(
  provider: string,
  model: ModelName,
  key: string | null,
  problem: string,
  item: unknown,
): MappingFailure {
  const named = key === null ? model : `${model} ${key}`
  const message = `${named}: ${problem}. The record was set aside; ask ${provider} about it.`
  return { error: new TidemarkError('RECORD_INVALID', message), model, remoteKey: key, json: clippedJson(item) }
}

/** Bytes of a failed record's JSON kept with the failure. */
const FAILURE_JSON_BYTES_MAX = 65_536

/** The beginning of a value's JSON, for a reader of the dead letters; the bytes as they came are in ats.raw. Never throws. */
export function clippedJson(item: unknown, bytesMax = FAILURE_JSON_BYTES_MAX): string {
  const bytes = Buffer.from(jsonOf(item))
  if (bytes.length <= bytesMax) return bytes.toString()
  // A character cut in two decodes to U+FFFD, which is dropped.
  return bytes
    .subarray(0, bytesMax)
    .toString()
    .replace(/\ufffd+$/, '')
}

function jsonOf(item: unknown): string {
  try {
    return JSON.stringify(item) ?? 'null'
  } catch {
    // Nested deeper than the stack; the bytes are in ats.raw.
    return '"nested too deeply to be shown"'
  }
}
