import type { Model, MutationKind } from './types.ts'

/** What a tool behind Kombo can do. */
export interface Tool {
  readonly slug: string
  readonly label: string
  /** Mutations that the tool pushes to Kombo at once; the others wait for a sync. */
  readonly upstream: 'all' | readonly MutationKind[]
  /** True when the tool can list what changed, so that delta syncs exist. */
  readonly delta: boolean
  /** Models that the tool has no data for. */
  readonly absentModels: readonly Model[]
  /** Fields that the tool never delivers, by model. */
  readonly absentFields: Readonly<Partial<Record<Model, readonly string[]>>>
}

const FULL = { absentModels: [], absentFields: {} } as const

export const TOOLS: readonly Tool[] = [
  { slug: 'greenhouse', label: 'Greenhouse', upstream: 'all', delta: true, ...FULL },
  { slug: 'personio', label: 'Personio', upstream: [], delta: true, ...FULL },
  {
    slug: 'traffit',
    label: 'TRAFFIT',
    upstream: [
      'candidate_created',
      'candidate_deleted',
      'candidate_anonymized',
      'candidate_merged',
      'application_created',
      'application_moved',
      'application_hired',
      'application_deleted',
      'job_created',
      'job_opened',
      'job_closed',
      'job_edited',
      'job_deleted',
    ],
    delta: false,
    absentModels: ['interviews', 'offers', 'rejection_reasons', 'screening_questions', 'roles', 'notes'],
    absentFields: {
      users: ['last_name', 'email'],
      jobs: [
        ...['employment_type', 'visibility', 'category', 'department', 'post_url', 'experience_level', 'job_code'],
        ...['remote_work_status', 'salary_amount', 'salary_amount_from', 'salary_amount_to', 'salary_currency'],
        ...['salary_period', 'remote_url', 'opened_at', 'contact_id', 'remote_updated_at', 'weekly_hours'],
      ],
      candidates: [
        ...['title', 'phone_numbers', 'location', 'company', 'social_media', 'custom_fields', 'remote_url'],
        'remote_created_at',
      ],
      applications: [
        ...['rejection_reason_name', 'rejected_at', 'screening_question_answers', 'custom_fields', 'remote_url'],
        'remote_created_at',
      ],
    },
  },
  { slug: 'lever', label: 'Lever', upstream: 'all', delta: true, ...FULL },
  { slug: 'recruitee', label: 'Recruitee', upstream: 'all', delta: true, ...FULL },
  { slug: 'workable', label: 'Workable', upstream: [], delta: true, ...FULL },
]

/** The tool of an integration id (`<slug>:…`); an unknown slug is a tool that pushes everything and has every field. */
export function toolOf(integrationId: string): Tool {
  const slug = integrationId.split(':', 1)[0] as string
  return TOOLS.find((tool) => tool.slug === slug) ?? { slug, label: slug, upstream: 'all', delta: true, ...FULL }
}
