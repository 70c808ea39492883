/** Files, which Kombo reads from the ATS when it is asked for them. */
import { type CandidateFile, filesOf } from '../world/files.ts'
import { base58Id } from '../world/ids.ts'
import type { Rec } from '../world/types.ts'
import { Refusal } from './errors.ts'
import type { Integration } from './integration.ts'
import { isoTime } from './render.ts'
import { type Answer, jsonAnswer } from './spoil.ts'

export const ATTACHMENT_MODELS = ['applications', 'candidates'] as const
export type AttachmentModel = (typeof ATTACHMENT_MODELS)[number]

const ACTIONS = [
  'ats_create_candidate',
  'ats_create_application',
  'ats_add_application_attachment',
  'ats_add_candidate_attachment',
]

/** Nothing is counted: each read is over before the next begins. */
const CONCURRENCY = { 'concurrency-limit': '30', 'concurrency-remaining': '29' }

const success = (data: object): Answer =>
  jsonAnswer(200, JSON.stringify({ status: 'success', data, warnings: [] }), CONCURRENCY)

/** The files of a candidate, or of an application's candidate: the simulated ATS keeps them there. `origin`: where the contents are had. */
export function attachmentsOf(integration: Integration, model: AttachmentModel, id: string, origin: string): Answer {
  const candidate = candidateOf(integration, model, id)
  const files = filesOf(candidate).map((file) => attachment(integration, candidate, file, model, origin))
  return success({ results: files })
}

function candidateOf({ mirror }: Integration, model: AttachmentModel, id: string): Rec<'candidates'> {
  const row = mirror.row(model, id)
  const application = model === 'applications' ? (row?.rec as Rec<'applications'> | undefined) : undefined
  const candidate = model === 'applications' ? mirror.row('candidates', application?.fields.candidate_id) : row
  const isThere = row?.deletedAtMs === null && candidate?.deletedAtMs === null && !candidate.blanked
  if (isThere) return candidate.rec as Rec<'candidates'>
  throw new Refusal('PLATFORM.INPUT_INVALID', `there is no record ${id} of ${model}`, 404)
}

function attachment(
  { id: integrationId }: Integration,
  candidate: Rec<'candidates'>,
  { remoteId, type, name, contentType, createdMs }: CandidateFile,
  model: AttachmentModel,
  origin: string,
): object {
  const path = [integrationId, candidate.id, remoteId].map(encodeURIComponent).join('/')
  return {
    id: base58Id(`attachment|${integrationId}|${remoteId}`),
    ...(model === 'candidates' ? { application_id: null, candidate_id: candidate.id } : {}),
    ...{ type, remote_id: remoteId, data_url: `${origin}/files/${path}`, file_name: name, content_type: contentType },
    ...{ remote_created_at: isoTime(createdMs), remote_updated_at: null },
  }
}

/** One file, for whoever has its address; undefined when there is none. */
export function fileOf(
  integration: Integration | undefined,
  candidateId: string,
  remoteId: string,
): CandidateFile | undefined {
  const row = integration?.mirror.row('candidates', candidateId)
  if (!row || row.deletedAtMs !== null || row.blanked) return undefined
  return filesOf(row.rec as Rec<'candidates'>).find((file) => file.remoteId === remoteId)
}

/** What a write takes: CVs and letters for new applications, anything afterwards. */
export function restrictionsOf(action: string): Answer {
  if (!ACTIONS.includes(action)) throw new Refusal('PLATFORM.INPUT_INVALID', `${action} takes no files`)
  if (!action.startsWith('ats_create')) return success({ attachment_restrictions: null })
  const accepted = { accepted_mime_types: ['application/pdf', 'text/plain'], max_file_size_bytes: 5_000_000 }
  const supported = { is_supported: true, min_amount: 0, max_amount: 1, ...accepted }
  const types = { CV: supported, COVER_LETTER: supported, OTHER: { is_supported: false } }
  return success({ attachment_restrictions: { total_size_bytes: 10_000_000, types } })
}
