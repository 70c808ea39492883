/** The thirteen entity models of an ATS company, in an order in which referenced models come before those that refer to them. */
export const MODELS = [
  'roles',
  'users',
  'tags',
  'application_stages',
  'rejection_reasons',
  'screening_questions',
  'jobs',
  'job_postings',
  'candidates',
  'applications',
  'interviews',
  'offers',
  'notes',
] as const

export type Model = (typeof MODELS)[number]

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

export interface Location {
  readonly city?: string | null
  readonly country?: string | null
  readonly raw?: string | null
  readonly state?: string | null
  readonly street_1?: string | null
  readonly street_2?: string | null
  readonly zip_code?: string | null
}

export interface UserFields {
  readonly first_name: string | null
  readonly last_name: string | null
  readonly email: string | null
  readonly status: 'ACTIVE' | 'INACTIVE' | null
}

export type UnifiedRole = 'HIRING_MANAGER' | 'RECRUITER' | 'COORDINATOR' | 'SOURCER' | 'INTERVIEWER' | 'ADMIN'

export interface RoleFields {
  readonly remote_label: string | null
  readonly scope: 'SYSTEM' | 'JOB' | null
  readonly unified_type: UnifiedRole | null
}

export interface NameFields {
  readonly name: string | null
}

export interface StageFields {
  readonly name: string | null
  readonly status: 'ACTIVE' | 'INACTIVE' | null
  readonly custom_fields: JsonObject | null
}

export interface QuestionFields {
  readonly title: string | null
  readonly description: string | null
  readonly format: JsonObject | null
  readonly category: 'EEO' | 'DEMOGRAPHIC' | null
  readonly required: boolean | null
  readonly precondition_question_id: string | null
  readonly precondition_options: readonly string[] | readonly boolean[] | null
}

export interface JobFields {
  readonly name: string | null
  readonly job_code: string | null
  readonly description: string | null
  readonly confidential: boolean | null
  readonly weekly_hours: number | null
  readonly employment_type: string | null
  readonly status: string | null
  readonly visibility: string | null
  readonly category: string | null
  readonly department: string | null
  readonly post_url: string | null
  readonly experience_level: string | null
  readonly remote_work_status: string | null
  readonly salary_amount: number | null
  readonly salary_amount_from: number | null
  readonly salary_amount_to: number | null
  readonly salary_currency: string | null
  readonly salary_period: string | null
  readonly location: Location | null
  readonly custom_fields: JsonObject | null
  readonly remote_url: string | null
  readonly opened_at: string | null
  readonly closed_at: string | null
  readonly contact_id: string | null
}

export interface PostingFields {
  readonly job_id: string
  readonly title: string | null
  readonly description_html: string | null
  readonly status: 'ACTIVE' | 'INACTIVE' | 'DRAFT' | null
  readonly visibility: 'PUBLIC' | 'INTERNAL' | 'UNLISTED' | null
  readonly url: string | null
}

export interface EmailAddress {
  readonly email_address: string | null
  readonly type: string | null
}

export interface PhoneNumber {
  readonly phone_number: string
  readonly type: string | null
}

export interface SocialMedia {
  readonly link: string | null
  readonly type: string | null
  readonly username: string | null
}

export interface CandidateFields {
  readonly first_name: string | null
  readonly last_name: string | null
  readonly company: string | null
  readonly title: string | null
  readonly confidential: boolean | null
  readonly source: string | null
  readonly phone_numbers: readonly PhoneNumber[]
  readonly email_addresses: readonly EmailAddress[]
  readonly social_media: readonly SocialMedia[]
  readonly location: Location | null
  readonly custom_fields: JsonObject | null
  readonly remote_url: string | null
}

export type Outcome = 'PENDING' | 'HIRED' | 'DECLINED'

export interface ApplicationFields {
  readonly outcome: Outcome | null
  readonly rejection_reason_name: string | null
  readonly rejected_at: string | null
  readonly current_stage_id: string | null
  readonly job_id: string
  readonly candidate_id: string
  readonly screening_question_answers: readonly JsonObject[]
  readonly custom_fields: JsonObject | null
  readonly remote_url: string | null
}

export interface InterviewFields {
  readonly title: string | null
  readonly starting_at: string | null
  readonly ending_at: string | null
  readonly location: Location | null
  readonly video_conferencing_url: string | null
  readonly application_id: string
  readonly stage_id: string | null
  readonly canceled: boolean | null
}

export type OfferStatus = 'ACCEPTED' | 'DECLINED' | 'SENT' | 'APPROVED' | 'DRAFT' | 'ABANDONED'

export interface OfferFields {
  readonly status: OfferStatus | null
  readonly employment_start_date: string | null
  readonly application_id: string
  readonly custom_fields: JsonObject | null
}

export interface NoteFields {
  readonly candidate_id: string
  readonly application_id: string | null
  readonly author_id: string | null
  readonly title: string | null
  readonly content_html: string | null
  readonly is_private: boolean | null
}

/** Own fields of each model, under Kombo's names; references hold Kombo ids. */
export interface FieldsOf {
  roles: RoleFields
  users: UserFields
  tags: NameFields
  application_stages: StageFields
  rejection_reasons: NameFields
  screening_questions: QuestionFields
  jobs: JobFields
  job_postings: PostingFields
  candidates: CandidateFields
  applications: ApplicationFields
  interviews: InterviewFields
  offers: OfferFields
  notes: NoteFields
}

export interface TeamMember {
  readonly user: string
  readonly roles: readonly string[]
}

/** What a record is linked to beside its own fields. A link change is not a change of the record itself. */
export interface Links {
  /** Tag ids of a candidate. */
  readonly tags?: readonly string[]
  /** Stage ids of a job, in pipeline order. */
  readonly stages?: readonly string[]
  /** Screening question ids of a job, in order. */
  readonly questions?: readonly string[]
  /** Hiring team of a job. */
  readonly team?: readonly TeamMember[]
  /** User ids of an interview. */
  readonly users?: readonly string[]
  /** System role ids of a user. */
  readonly roles?: readonly string[]
}

/** A record as the ATS has it now. Immutable: an edit puts a new one in its place. */
export interface Rec<M extends Model = Model> {
  /** Kombo id: 24 base58 characters, derived from the integration and the remote id. */
  readonly id: string
  readonly remoteId: string
  readonly fields: FieldsOf[M]
  readonly links: Links
  readonly createdMs: number
  /** When the record's own fields last changed in the ATS. */
  readonly updatedMs: number
}

export interface RecordRef {
  readonly model: Model
  readonly id: string
}

/** Something that happened in the ATS; the kinds that a tool can push upstream. */
export const MUTATION_KINDS = [
  'candidate_created',
  'candidate_edited',
  'candidate_tagged',
  'candidate_untagged',
  'candidate_merged',
  'candidate_anonymized',
  'candidate_deleted',
  'candidate_vanished',
  'application_created',
  'application_edited',
  'application_moved',
  'application_rejected',
  'application_withdrawn',
  'application_hired',
  'application_deleted',
  'job_created',
  'job_opened',
  'job_closed',
  'job_edited',
  'job_deleted',
  'job_team_changed',
  'job_stages_changed',
  'job_questions_changed',
  'posting_changed',
  'stage_renamed',
  'tag_renamed',
  'interview_scheduled',
  'interview_changed',
  'offer_created',
  'offer_changed',
  'note_added',
  'user_changed',
  'record_created',
  'record_edited',
  'record_linked',
  'record_deleted',
  'record_restored',
] as const

export type MutationKind = (typeof MUTATION_KINDS)[number]

/** One thing that happened in one company, naming every record that it created, changed or removed. */
export interface Mutation {
  readonly integrationId: string
  readonly kind: MutationKind
  readonly atMs: number
  /** Records created or changed. */
  readonly changed: readonly RecordRef[]
  /** Records that the ATS no longer has. */
  readonly deleted: readonly RecordRef[]
  /** One line for people: "Frodo Baggins / Backend Engineer: Screening -> Interview". */
  readonly text: string
  /** False when the ATS tells nobody: only a full sync finds out. */
  readonly announced: boolean
}
