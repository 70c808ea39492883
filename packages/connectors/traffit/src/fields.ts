/** Fields that several models share. Each is delivered only when the JSON has its key. */

import type { Json } from '@tidemark/connector/mapping'
import type { RecordInput } from '@tidemark/model'
import { textOf } from './json.ts'
import type { Times } from './times.ts'

/** `{to: json[from]}` where the key is there. */
export function copied(json: Json, names: Readonly<Record<string, string>>): Record<string, unknown> {
  const record: Record<string, unknown> = {}
  for (const [to, from] of Object.entries(names)) if (json[from] !== undefined) record[to] = json[from]
  return record
}

/** A tenant's time in ms where the key is there. What is no time is handed on, for the record to be refused with its path. */
export function timed(json: Json, times: Times, names: Readonly<Record<string, string>>): Record<string, unknown> {
  const record: Record<string, unknown> = {}
  for (const [to, from] of Object.entries(names)) {
    const value = json[from]
    if (value !== undefined) record[to] = value === null ? null : (times.toMs(value) ?? value)
  }
  return record
}

/** Tenant-defined fields: the top-level keys that begin with `_`. */
export function customFields(json: Json): RecordInput {
  return Object.fromEntries(Object.entries(json).filter(([name]) => name.startsWith('_')))
}

/** The given name where TRAFFIT has none: the user name, then the address before its `@` (a choice, not a fact). */
export function firstNameOf(json: Json): string | null | undefined {
  const { name, username, email } = json as { name?: unknown; username?: unknown; email?: unknown }
  if (name === undefined && username === undefined && email === undefined) return undefined
  return textOf(name) ?? textOf(username) ?? textOf(email)?.split('@', 1)[0] ?? null
}
