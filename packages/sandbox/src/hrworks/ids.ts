import { hash32 } from '../world/ids.ts'
import type { Rec } from '../world/types.ts'

/** A uuid derived from a text, the same each time. */
export function uuidOf(kind: string, text: string): string {
  const hex = [0, 1, 2, 3].map((salt) => hash32(`${kind}|${text}`, salt).toString(16).padStart(8, '0')).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20)].join('-')
}

/** Derived from the record's id, which a deletion still names. */
export const applicantUuid = (candidateId: string): string => uuidOf('applicant', candidateId)
export const postUuid = (job: Rec<'jobs'>): string => uuidOf('post', job.id)
export const personUuid = (user: Rec<'users'>): string => uuidOf('person', user.id)
export const unitUuid = (name: string): string => uuidOf('unit', name)

/** Short ids of offers and applications: six hexadecimal digits or more. */
export const shortId = (rec: Rec): string => (0x1f0000 + Number(rec.remoteId)).toString(16)

/** `caseStudy` for "Case Study": the form of HR WORKS' keys. */
export function keyOf(label: string): string {
  const words = label
    .normalize('NFD')
    .replace(/[^A-Za-z0-9 ]/g, '')
    .split(/\s+/)
    .filter(Boolean)
  return words
    .map((word, index) => (index === 0 ? word[0]?.toLowerCase() : word[0]?.toUpperCase()) + word.slice(1))
    .join('')
}
