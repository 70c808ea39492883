import { beforeEach, describe, expect, it } from 'vitest'
import type { Company } from '../world/company.ts'
import type { Model, Rec } from '../world/types.ts'
import { World } from '../world/world.ts'
import { Mirror, type Row } from './mirror.ts'

const START = Date.UTC(2026, 0, 5, 9)
const DAY_MS = 86_400_000

let world: World
let company: Company
let mirror: Mirror
let nowMs: number
let id: string
let names: Set<string>

beforeEach(() => {
  nowMs = START
  world = new World({
    seed: 11,
    now: () => nowMs,
    onMutation: (mutation) => {
      names = mirror.ingest(mutation.changed, mutation.deleted, nowMs)
    },
  })
  company = world.found({ jobs: 10, candidates: 30, applications: 60 }, 'greenhouse')
  id = company.integrationId
  mirror = new Mirror(company, { blankAfterMs: 14 * DAY_MS, removeAfterMs: 28 * DAY_MS, absentModels: [] })
  mirror.ingestAll(START)
  names = new Set()
  nowMs += 60_000
})

/** Which endpoints list which rows for `updated_after` = now, and which of those have a new `changed_at`. */
function effect(): { listed: string[]; own: string[] } {
  const listed: string[] = []
  const own: string[] = []
  for (const model of [
    'applications',
    'candidates',
    'jobs',
    'interviews',
    'offers',
    'users',
    'notes',
    'tags',
    'roles',
    'application_stages',
    'rejection_reasons',
  ] as const) {
    mirror.index(model).scan(mirror.index(model).before(nowMs), (row) => {
      listed.push(`${model}/${row.id}`)
      if (row.changedAtMs === nowMs) own.push(`${model}/${row.id}`)
      return true
    })
  }
  return { listed: listed.sort(), own: own.sort() }
}

const ref = (model: Model, recId: string): string => `${model}/${recId}`
const first = <M extends Model>(model: M, accept: (rec: Rec<M>) => boolean = () => true): Rec<M> => {
  for (const rec of company.tables[model].values() as IterableIterator<Rec<M>>) if (accept(rec)) return rec
  throw new Error(`no ${model}`)
}
const appsOf = (candidateId: string): string[] =>
  company.children('applications', candidateId).map((app) => ref('applications', app))
/** An application with interviews and offers. */
function richApplication(): Rec<'applications'> {
  const app = first('applications')
  world.scheduleInterview(id, app.id)
  world.createOffer(id, app.id)
  nowMs += 60_000
  return app
}

describe('what counts as a change, applications', () => {
  it('an own change lists the application, its candidate, interviews and offers; only itself has a new changed_at', () => {
    const app = richApplication()
    world.mutate(id, 'applications', app.id, { custom_fields: { score: 5 } })
    const children = [
      ...company.children('interviews', app.id).map((each) => ref('interviews', each)),
      ...company.children('offers', app.id).map((each) => ref('offers', each)),
    ]
    expect(effect()).toEqual({
      listed: [ref('applications', app.id), ref('candidates', app.fields.candidate_id), ...children].sort(),
      own: [ref('applications', app.id)],
    })
    expect(names).toEqual(new Set(['ats_applications']))
  })

  it("a candidate's own change lists the candidate and all its applications, but not what hangs on those", () => {
    const app = richApplication()
    const candidate = app.fields.candidate_id
    world.editCandidate(id, candidate, { title: 'King' })
    expect(effect()).toEqual({
      listed: [ref('candidates', candidate), ...appsOf(candidate)].sort(),
      own: [ref('candidates', candidate)],
    })
    expect(names).toEqual(new Set(['ats_candidates']))
  })

  it("a candidate's tags do not list its applications", () => {
    const app = first('applications')
    world.addTag(id, app.fields.candidate_id, 'Brand new')
    expect(effect().listed.filter((each) => each.startsWith('applications/'))).toEqual([])
  })

  it('a renamed stage lists neither applications nor candidates nor jobs', () => {
    const app = first('applications')
    world.renameStage(id, app.fields.current_stage_id as string, 'Second breakfast')
    expect(effect().listed).toEqual([ref('application_stages', app.fields.current_stage_id as string)])
    expect(names).toEqual(new Set(['ats_application_stages']))
  })

  it('moving to another stage is an own change of the application', () => {
    const app = first('applications')
    const other = first('application_stages', (stage) => stage.id !== app.fields.current_stage_id)
    world.moveApplication(id, app.id, other.id)
    expect(effect().own).toEqual([ref('applications', app.id)])
  })

  it("a job's own change lists only the job", () => {
    const app = first('applications')
    world.editJob(id, app.fields.job_id, { name: 'Wizard' })
    expect(effect()).toEqual({ listed: [ref('jobs', app.fields.job_id)], own: [ref('jobs', app.fields.job_id)] })
  })

  it.each(['interviews', 'offers'] as const)('%s: added, changed and removed entries list the application', (model) => {
    const app = first('applications')
    const added = model === 'interviews' ? world.scheduleInterview(id, app.id) : world.createOffer(id, app.id)
    expect(effect().listed).toEqual([ref('applications', app.id), ref(model, added)].sort())
    expect(effect().own).toEqual([ref(model, added)])
    nowMs += 1000
    if (model === 'interviews') world.mutate(id, 'interviews', added, { canceled: true })
    else world.setOfferStatus(id, added, 'SENT')
    expect(effect().listed).toEqual([ref('applications', app.id), ref(model, added)].sort())
    nowMs += 1000
    world.remove(id, model, added)
    expect(effect().listed).toEqual([ref('applications', app.id), ref(model, added)].sort())
    expect(mirror.row(model, added)?.deletedAtMs).toBe(nowMs)
  })
})

describe('what counts as a change, candidates', () => {
  it('applications: added and removed entries and own changes list the candidate', () => {
    const candidate = first('candidates')
    const job = first('jobs')
    const app = world.apply(id, candidate.id, job.id)
    expect(effect()).toEqual({
      listed: [ref('applications', app), ref('candidates', candidate.id)].sort(),
      own: [ref('applications', app)],
    })
    nowMs += 1000
    world.rejectApplication(id, app)
    expect(effect().listed).toContain(ref('candidates', candidate.id))
    nowMs += 1000
    world.remove(id, 'applications', app)
    expect(effect().listed).toEqual([ref('applications', app), ref('candidates', candidate.id)].sort())
  })

  it('tags: an added or removed tag lists the candidate without changing its changed_at; a renamed tag does not list it', () => {
    const candidate = first('candidates')
    const before = (mirror.row('candidates', candidate.id) as Row).changedAtMs
    const tag = first('tags', (each) => !candidate.links.tags?.includes(each.id))
    world.addTag(id, candidate.id, tag.id)
    expect(effect()).toEqual({ listed: [ref('candidates', candidate.id)], own: [] })
    expect(names).toEqual(new Set(['ats_join_candidates_tags']))
    nowMs += 1000
    world.renameTag(id, tag.id, 'Renamed')
    expect(effect()).toEqual({ listed: [ref('tags', tag.id)], own: [ref('tags', tag.id)] })
    expect(names).toEqual(new Set(['ats_tags']))
    nowMs += 1000
    world.removeTag(id, candidate.id, tag.id)
    expect(effect().listed).toEqual([ref('candidates', candidate.id)])
    expect(mirror.row('candidates', candidate.id)?.changedAtMs).toBe(before)
  })

  it('a merge lists both candidates and the applications that changed hands', () => {
    const app = first('applications')
    const loser = app.fields.candidate_id
    const winner = first('candidates', (rec) => rec.id !== loser).id
    const moved = appsOf(loser)
    world.mergeCandidates(id, loser, winner)
    const { listed } = effect()
    expect(listed).toEqual(expect.arrayContaining([ref('candidates', loser), ref('candidates', winner), ...moved]))
    expect(mirror.row('candidates', loser)?.deletedAtMs).toBe(nowMs)
    for (const each of moved) expect(mirror.row('applications', each.split('/')[1])?.parent?.id).toBe(winner)
  })
})

describe('what counts as a change, jobs', () => {
  it('stages: added and removed entries list the job', () => {
    const job = first('jobs')
    world.setJobStages(id, job.id, (job.links.stages ?? []).slice(1))
    expect(effect()).toEqual({ listed: [ref('jobs', job.id)], own: [] })
    expect(names).toEqual(new Set(['ats_join_jobs_application_stages']))
  })

  it('screening questions: entries and own changes list the job', () => {
    const job = first('jobs')
    const question = first('screening_questions', (each) => !job.links.questions?.includes(each.id))
    world.setJobQuestions(id, job.id, [question.id])
    expect(effect()).toEqual({ listed: [ref('jobs', job.id)], own: [] })
    expect(names).toEqual(new Set(['ats_join_jobs_screening_questions']))
    nowMs += 1000
    world.mutate(id, 'screening_questions', question.id, { title: 'What have I got in my pocket?' })
    expect(effect().listed).toContain(ref('jobs', job.id))
    expect(effect().own).toEqual([])
    expect(names).toEqual(new Set(['ats_screening_questions']))
    nowMs += 1000
    world.setJobQuestions(id, job.id, [])
    nowMs += 1000
    world.mutate(id, 'screening_questions', question.id, { title: 'Riddles in the dark' })
    expect(effect().listed).not.toContain(ref('jobs', job.id))
  })

  it('postings: added, changed and removed ones list the job', () => {
    const job = first('jobs')
    const fields = {
      job_id: job.id,
      title: 't',
      description_html: null,
      status: 'ACTIVE',
      visibility: 'PUBLIC',
      url: null,
    } as const
    const posting = world.insert(id, 'job_postings', fields)
    expect(effect()).toEqual({ listed: [ref('jobs', job.id)], own: [] })
    expect(names).toEqual(new Set(['ats_job_postings']))
    nowMs += 1000
    world.mutate(id, 'job_postings', posting, { title: 'u' })
    expect(effect().listed).toEqual([ref('jobs', job.id)])
    nowMs += 1000
    world.remove(id, 'job_postings', posting)
    expect(effect().listed).toEqual([ref('jobs', job.id)])
  })

  it('hiring team: entries list the job, own changes of its users do not', () => {
    const job = first('jobs')
    const user = first('users', (each) => !job.links.team?.some((member) => member.user === each.id))
    const role = first('roles', (each) => each.fields.scope === 'JOB')
    world.setHiringTeam(id, job.id, [{ user: user.id, roles: [role.id] }])
    expect(effect()).toEqual({ listed: [ref('jobs', job.id)], own: [] })
    expect(names).toEqual(new Set(['ats_join_jobs_users', 'ats_join_user_job_role_assignments']))
    nowMs += 1000
    world.setHiringTeam(id, job.id, [{ user: user.id, roles: [] }])
    expect(names).toEqual(new Set(['ats_join_user_job_role_assignments']))
    nowMs += 1000
    world.editUser(id, user.id, { first_name: 'Gandalf' })
    expect(effect().listed).toEqual([ref('users', user.id)])
  })
})

describe('what counts as a change, interviews, offers, users, notes', () => {
  it('interviews: interviewers coming and going list it, own changes of users do not; its application does, but not candidate or job', () => {
    const app = first('applications')
    const interview = world.scheduleInterview(id, app.id, {}, [])
    const offer = world.createOffer(id, app.id)
    nowMs += 1000
    const user = first('users')
    world.link(id, 'interviews', interview, { users: [user.id] })
    expect(effect()).toEqual({ listed: [ref('interviews', interview)], own: [] })
    expect(names).toEqual(new Set(['ats_join_interviews_users']))
    nowMs += 1000
    world.editUser(id, user.id, { last_name: 'the Grey' })
    expect(effect().listed).not.toContain(ref('interviews', interview))
    nowMs += 1000
    world.rejectApplication(id, app.id)
    expect(effect().listed).toEqual(expect.arrayContaining([ref('interviews', interview), ref('offers', offer)]))
    nowMs += 1000
    world.editCandidate(id, app.fields.candidate_id, { title: 'x' })
    world.editJob(id, app.fields.job_id, { name: 'x' })
    const { listed } = effect()
    expect(listed.filter((each) => each.startsWith('interviews/') || each.startsWith('offers/'))).toEqual([])
  })

  it('users: system role assignments and the roles themselves list them', () => {
    const role = first('roles', (each) => each.fields.scope === 'SYSTEM')
    const user = first('users', (each) => !each.links.roles?.includes(role.id))
    world.link(id, 'users', user.id, { roles: [role.id] })
    expect(effect()).toEqual({ listed: [ref('users', user.id)], own: [] })
    expect(names).toEqual(new Set(['ats_join_users_roles']))
    nowMs += 1000
    world.mutate(id, 'roles', role.id, { remote_label: 'Wizard' })
    expect(effect().listed).toEqual(expect.arrayContaining([ref('roles', role.id), ref('users', user.id)]))
    expect(effect().own).toEqual([ref('roles', role.id)])
  })

  it('notes: author, application and candidate do not list them', () => {
    const app = first('applications')
    const note = world.addNote(id, app.id, '<p>hi</p>')
    expect(effect()).toEqual({ listed: [ref('notes', note)], own: [ref('notes', note)] })
    expect(names).toEqual(new Set(['ats_notes']))
    nowMs += 1000
    world.rejectApplication(id, app.id)
    world.editCandidate(id, app.fields.candidate_id, { title: 'x' })
    world.editUser(id, company.find('notes', note).fields.author_id as string, { last_name: 'x' })
    expect(effect().listed).not.toContain(ref('notes', note))
  })
})

describe('deletion', () => {
  it('marks rows, blanks them after 14 days and removes them after 28, without another change', () => {
    const app = first('applications')
    const candidate = app.fields.candidate_id
    world.deleteCandidate(id, candidate)
    const deletedAtMs = nowMs
    const row = mirror.row('candidates', candidate) as Row
    mirror.expire(deletedAtMs + 14 * DAY_MS - 1)
    expect(row.blanked).toBe(false)
    mirror.expire(deletedAtMs + 14 * DAY_MS)
    expect(row).toMatchObject({ blanked: true, changedAtMs: deletedAtMs, effectiveMs: deletedAtMs, deletedAtMs })
    expect(row.rec.fields).toMatchObject({ first_name: null, email_addresses: [], location: null })
    mirror.expire(deletedAtMs + 28 * DAY_MS)
    expect(mirror.row('candidates', candidate)).toBeUndefined()
    expect(mirror.row('applications', app.id)).toBeUndefined()
  })

  it('of an interview ends its listing for changes of its application', () => {
    const app = first('applications')
    const interview = world.scheduleInterview(id, app.id)
    world.remove(id, 'interviews', interview)
    nowMs += 1000
    world.mutate(id, 'applications', app.id, { custom_fields: { score: 1 } })
    expect(effect().listed).not.toContain(ref('interviews', interview))
  })

  it('a restored record is not blanked by its earlier deletion', () => {
    const tag = first('tags')
    world.remove(id, 'tags', tag.id)
    nowMs += DAY_MS
    world.restore(id, 'tags', tag.id)
    expect(effect().own).toContain(ref('tags', tag.id))
    mirror.expire(nowMs + 40 * DAY_MS)
    expect(mirror.row('tags', tag.id)).toMatchObject({ blanked: false, deletedAtMs: null, rec: { fields: tag.fields } })
  })
})

describe('syncs', () => {
  it('what is edited there and back between two syncs still has its own newer time, what is linked there and back is no change', () => {
    const silent = new Mirror(company, { blankAfterMs: 1, removeAfterMs: 2, absentModels: [] })
    silent.ingestAll(START)
    const candidate = first('candidates')
    const tag = first('tags', (each) => !candidate.links.tags?.includes(each.id))
    const note = (mutation: ReturnType<World['addTag']>): void => {
      if (mutation) silent.markDirty(mutation)
    }
    note(world.addTag(id, candidate.id, tag.id))
    note(world.removeTag(id, candidate.id, tag.id))
    expect(silent.ingestPending(nowMs, 'DELTA')).toEqual(new Set())
  })
})
