import { TidemarkError } from '@tidemark/base'
import { findTag, personName, tagName } from './describe.ts'
import { candidateProfile } from './profile.ts'
import { RecordMutations } from './record-mutations.ts'
import type { CandidateFields, Mutation } from './types.ts'

/** All fields of a candidate that anonymization blanks. */
const BLANK_CANDIDATE: Partial<CandidateFields> = {
  first_name: null,
  last_name: null,
  company: null,
  title: null,
  source: null,
  phone_numbers: [],
  email_addresses: [],
  social_media: [],
  location: null,
  custom_fields: null,
  remote_url: null,
}

/** Mutations of people. */
export abstract class CandidateMutations extends RecordMutations {
  createCandidate(integrationId: string, fields: Partial<CandidateFields> = {}, tags: readonly string[] = []): string {
    const company = this.company(integrationId)
    const number = company.upcomingNumber('candidates')
    const profile = { ...candidateProfile(company.seed, number, company.host), ...fields }
    let id = ''
    company.mutate('candidate_created', `new candidate ${profile.first_name} ${profile.last_name}`, (draft) => {
      id = draft.insert('candidates', profile, { tags }).id
    })
    return id
  }

  editCandidate(integrationId: string, id: string, patch: Partial<CandidateFields>): Mutation | null {
    const company = this.company(integrationId)
    const rec = company.find('candidates', id)
    const text = `${personName(rec)}: ${Object.keys(patch).join(', ')} edited`
    return company.mutate('candidate_edited', text, (draft) => draft.edit('candidates', rec.id, patch))
  }

  /** Deletes a candidate with applications, interviews, offers and notes; the ATS says so by an event. */
  deleteCandidate(integrationId: string, id: string): Mutation | null {
    return this.#removeCandidate(integrationId, id, true)
  }

  /** Deletes a candidate without any event: Kombo notices at its next full sync. */
  vanishCandidate(integrationId: string, id: string): Mutation | null {
    return this.#removeCandidate(integrationId, id, false)
  }

  /** The loser's applications and notes go to the winner, its tags and addresses too; then it is deleted. */
  mergeCandidates(integrationId: string, loserId: string, winnerId: string): Mutation | null {
    const company = this.company(integrationId)
    const loser = company.find('candidates', loserId)
    const winner = company.find('candidates', winnerId)
    if (loser.id === winner.id)
      throw new TidemarkError('RECORD_INVALID', `candidate ${loser.id} cannot be merged into itself`)
    const addresses = [...winner.fields.email_addresses]
    for (const mail of loser.fields.email_addresses) {
      if (!addresses.some((other) => other.email_address === mail.email_address)) addresses.push(mail)
    }
    return company.mutate('candidate_merged', `${personName(loser)} merged into ${personName(winner)}`, (draft) => {
      for (const model of ['applications', 'notes'] as const) {
        for (const id of [...company.children(model, loser.id)]) draft.edit(model, id, { candidate_id: winner.id })
      }
      draft.edit('candidates', winner.id, { email_addresses: addresses })
      draft.link('candidates', winner.id, {
        tags: [...new Set([...(winner.links.tags ?? []), ...(loser.links.tags ?? [])])],
      })
      draft.remove('candidates', loser.id)
    })
  }

  /** Removes the personal data: `blank` keeps the record with empty fields, `delete` is what most tools do (gone for Kombo). */
  anonymizeCandidate(integrationId: string, id: string, style: 'blank' | 'delete' = 'blank'): Mutation | null {
    const company = this.company(integrationId)
    const rec = company.find('candidates', id)
    return company.mutate('candidate_anonymized', `candidate ${rec.remoteId} anonymized`, (draft) => {
      if (style === 'delete') draft.remove('candidates', rec.id)
      else draft.edit('candidates', rec.id, BLANK_CANDIDATE)
    })
  }

  /** Adds a tag by id or by name; a name that no tag has becomes a new tag. */
  addTag(integrationId: string, candidateId: string, tag: string): Mutation | null {
    const company = this.company(integrationId)
    const rec = company.find('candidates', candidateId)
    return company.mutate('candidate_tagged', `${personName(rec)}: tagged ${tagName(company, tag)}`, (draft) => {
      const tagId = findTag(company, tag)?.id ?? draft.insert('tags', { name: tag }).id
      const tags = rec.links.tags ?? []
      if (!tags.includes(tagId)) draft.link('candidates', rec.id, { tags: [...tags, tagId] })
    })
  }

  removeTag(integrationId: string, candidateId: string, tag: string): Mutation | null {
    const company = this.company(integrationId)
    const rec = company.find('candidates', candidateId)
    const tagId = findTag(company, tag)?.id
    return company.mutate('candidate_untagged', `${personName(rec)}: untagged ${tagName(company, tag)}`, (draft) =>
      draft.link('candidates', rec.id, { tags: (rec.links.tags ?? []).filter((each) => each !== tagId) }),
    )
  }

  #removeCandidate(integrationId: string, id: string, announced: boolean): Mutation | null {
    const company = this.company(integrationId)
    const rec = company.find('candidates', id)
    const kind = announced ? 'candidate_deleted' : 'candidate_vanished'
    const text = `${personName(rec)} ${announced ? 'deleted' : 'vanished'}`
    return company.mutate(kind, text, (draft) => draft.remove('candidates', rec.id), announced)
  }
}
