import type { Company } from './company.ts'
import type { Rec } from './types.ts'

/** "Frodo Baggins", or the id of somebody without a name. */
export function personName(rec: Rec<'candidates'>): string {
  const { first_name, last_name } = rec.fields
  return [first_name, last_name].filter(Boolean).join(' ') || `candidate ${rec.remoteId}`
}

/** "Frodo Baggins / Backend Engineer". */
export function applicationName(company: Company, app: Rec<'applications'>): string {
  const candidate = company.tables.candidates.get(app.fields.candidate_id)
  const job = company.tables.jobs.get(app.fields.job_id)
  return `${candidate ? personName(candidate) : '?'} / ${job?.fields.name ?? '?'}`
}

/** The tag with this id or name. */
export function findTag(company: Company, idOrName: string): Rec<'tags'> | undefined {
  const byId = company.tables.tags.get(idOrName)
  if (byId) return byId
  for (const tag of company.tables.tags.values()) if (tag.fields.name === idOrName) return tag
  return undefined
}

/** The name of a tag given by id or name. */
export function tagName(company: Company, idOrName: string): string {
  return findTag(company, idOrName)?.fields.name ?? idOrName
}
