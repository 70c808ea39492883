import { type Links, MODELS, type Model } from '../world/types.ts'

/** Names in `data-changed` of what links records to each other. */
const JOIN_NAMES: Readonly<Record<Model, Readonly<Partial<Record<keyof Links, string>>>>> = {
  ...(Object.fromEntries(MODELS.map((model) => [model, {}])) as Record<Model, object>),
  candidates: { tags: 'ats_join_candidates_tags' },
  jobs: { stages: 'ats_join_jobs_application_stages', questions: 'ats_join_jobs_screening_questions' },
  interviews: { users: 'ats_join_interviews_users' },
  users: { roles: 'ats_join_users_roles' },
}

/** Names in `data-changed` of the links that differ; all of them count for `updated_after`. */
export function changedJoins(model: Model, before: Links, after: Links): string[] {
  if (before === after) return []
  const names = (Object.entries(JOIN_NAMES[model]) as [keyof Links, string][])
    .filter(([key]) => JSON.stringify(before[key] ?? []) !== JSON.stringify(after[key] ?? []))
    .map(([, name]) => name)
  return model === 'jobs' ? [...names, ...changedTeam(before, after)] : names
}

/** A hiring team has two kinds of links: who is in it, and in which role. */
function changedTeam(before: Links, after: Links): string[] {
  const old = before.team ?? []
  const now = after.team ?? []
  if (JSON.stringify(old) === JSON.stringify(now)) return []
  const users = JSON.stringify(old.map((member) => member.user)) !== JSON.stringify(now.map((member) => member.user))
  return users ? ['ats_join_jobs_users', 'ats_join_user_job_role_assignments'] : ['ats_join_user_job_role_assignments']
}
