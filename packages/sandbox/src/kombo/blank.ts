import { PARENTS } from '../world/company.ts'
import type { FieldsOf, Model, Rec } from '../world/types.ts'

/** The record of a row that was deleted long ago: empty lists, all else null. Only the ids that Kombo types as non-null stay. */
export function blankOf(model: Model, rec: Rec): Rec {
  const fields = Object.fromEntries(
    Object.entries(rec.fields).map(([key, value]) => [key, Array.isArray(value) ? [] : null]),
  ) as Record<string, unknown>
  const parent = PARENTS[model]
  if (parent) fields[parent.field] = (rec.fields as unknown as Record<string, unknown>)[parent.field]
  return {
    id: rec.id,
    remoteId: rec.remoteId,
    fields: fields as unknown as FieldsOf[Model],
    links: {},
    createdMs: 0,
    updatedMs: 0,
  }
}
