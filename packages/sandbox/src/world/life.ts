import type { Random } from '@tidemark/base'
import type { Company } from './company.ts'
import type { Mutations } from './mutations.ts'
import { DEPARTMENTS, EMPLOYERS, JOB_TITLES, NOTES, REJECTION_REASONS, TAGS } from './names.ts'
import type { Mutation, Rec } from './types.ts'

type Act = (company: Company, m: Mutations, random: Random) => void

/** Who may be acted upon: applications that are still running. */
const pending = (rec: Rec<'applications'>): boolean => rec.fields.outcome === 'PENDING'
const open = (rec: Rec<'jobs'>): boolean => rec.fields.status === 'OPEN'

/** What happens in a company, with how often it happens relative to the others. */
const LIFE: readonly (readonly [weight: number, act: Act])[] = [
  [16, newApplicant],
  [8, applyAgain],
  [24, moveOn],
  [9, (c, m, r) => withPending(c, r, (app) => m.rejectApplication(c.integrationId, app.id, r.pick(REJECTION_REASONS)))],
  [3, (c, m, r) => withPending(c, r, (app) => m.withdrawApplication(c.integrationId, app.id))],
  [4, (c, m, r) => withPending(c, r, (app) => m.hireApplication(c.integrationId, app.id))],
  [6, (c, m, r) => withPending(c, r, (app) => m.scheduleInterview(c.integrationId, app.id))],
  [4, changeInterview],
  [3, (c, m, r) => withPending(c, r, (app) => m.createOffer(c.integrationId, app.id))],
  [4, advanceOffer],
  [7, (c, m, r) => withCandidate(c, r, (rec) => m.editCandidate(c.integrationId, rec.id, editOf(rec, r)))],
  [6, (c, m, r) => withCandidate(c, r, (rec) => m.addTag(c.integrationId, rec.id, r.pick(TAGS)))],
  [3, untag],
  [1, merge],
  [
    1,
    (c, m, r) =>
      withCandidate(c, r, (rec) => m.anonymizeCandidate(c.integrationId, rec.id, r.pick(['blank', 'delete']))),
  ],
  [1, (c, m, r) => withCandidate(c, r, (rec) => m.vanishCandidate(c.integrationId, rec.id))],
  [1, (c, m, r) => withCandidate(c, r, (rec) => m.deleteCandidate(c.integrationId, rec.id))],
  [4, (c, m, r) => withPending(c, r, (app) => m.addNote(c.integrationId, app.id, `<p>${r.pick(NOTES)}</p>`))],
  [2, (c, m) => m.createJob(c.integrationId)],
  [1, (c, m, r) => withJob(c, r, open, (job) => m.closeJob(c.integrationId, job.id))],
  [
    1,
    (c, m, r) =>
      withJob(
        c,
        r,
        (job) => job.fields.status === 'CLOSED',
        (job) => m.openJob(c.integrationId, job.id),
      ),
  ],
  [
    3,
    (c, m, r) =>
      withJob(
        c,
        r,
        () => true,
        (job) => m.editJob(c.integrationId, job.id, jobEdit(job, r)),
      ),
  ],
  [1, changeTeam],
]

const TOTAL = LIFE.reduce((sum, [weight]) => sum + weight, 0)

/** Makes one thing happen in a company. What exactly is the random source's choice; now and then the choice is impossible and nothing happens. */
export function act(company: Company, mutations: Mutations, random: Random): void {
  let at = random.next() * TOTAL
  for (const [weight, what] of LIFE) {
    at -= weight
    if (at >= 0) continue
    what(company, mutations, random)
    return
  }
}

function withPending(
  company: Company,
  random: Random,
  then: (app: Rec<'applications'>) => Mutation | string | null,
): void {
  const app = company.tables.applications.pick(random, pending)
  if (app) then(app)
}

function withCandidate(company: Company, random: Random, then: (rec: Rec<'candidates'>) => Mutation | null): void {
  const rec = company.tables.candidates.pick(random)
  if (rec) then(rec)
}

function withJob(
  company: Company,
  random: Random,
  accept: (rec: Rec<'jobs'>) => boolean,
  then: (rec: Rec<'jobs'>) => Mutation | null,
): void {
  const rec = company.tables.jobs.pick(random, accept)
  if (rec) then(rec)
}

function newApplicant(company: Company, m: Mutations, random: Random): void {
  const job = company.tables.jobs.pick(random, open)
  if (job) m.apply(company.integrationId, m.createCandidate(company.integrationId), job.id)
}

function applyAgain(company: Company, m: Mutations, random: Random): void {
  const job = company.tables.jobs.pick(random, open)
  const candidate = company.tables.candidates.pick(random)
  if (!job || !candidate) return
  const taken = company.children('applications', candidate.id)
  if (taken.some((id) => company.tables.applications.get(id)?.fields.job_id === job.id)) return
  m.apply(company.integrationId, candidate.id, job.id)
}

/** One stage forward, sometimes one back. */
function moveOn(company: Company, m: Mutations, random: Random): void {
  const app = company.tables.applications.pick(random, pending)
  if (!app) return
  const stages = company.tables.jobs.get(app.fields.job_id)?.links.stages ?? []
  const at = stages.indexOf(app.fields.current_stage_id ?? '')
  const to = stages[random.chance(0.9) ? at + 1 : at - 1]
  if (to !== undefined) m.moveApplication(company.integrationId, app.id, to)
}

function changeInterview(company: Company, m: Mutations, random: Random): void {
  const interview = company.tables.interviews.pick(random)
  if (!interview) return
  if (random.chance(0.3)) {
    m.mutate(company.integrationId, 'interviews', interview.id, { canceled: true })
    return
  }
  const startMs = company.nowMs + (1 + random.int(20)) * 86_400_000
  m.mutate(company.integrationId, 'interviews', interview.id, {
    starting_at: new Date(startMs).toISOString(),
    ending_at: new Date(startMs + 3_600_000).toISOString(),
  })
}

function advanceOffer(company: Company, m: Mutations, random: Random): void {
  const next = { DRAFT: 'APPROVED', APPROVED: 'SENT', SENT: 'ACCEPTED' } as const
  const offer = company.tables.offers.pick(random, (rec) => (rec.fields.status ?? '') in next)
  const status = offer?.fields.status as keyof typeof next | undefined
  if (!offer || !status) return
  const to = random.chance(0.1) ? 'ABANDONED' : status === 'SENT' && random.chance(0.3) ? 'DECLINED' : next[status]
  m.setOfferStatus(company.integrationId, offer.id, to)
}

function untag(company: Company, m: Mutations, random: Random): void {
  const rec = company.tables.candidates.pick(random, (each) => (each.links.tags ?? []).length > 0)
  if (rec) m.removeTag(company.integrationId, rec.id, random.pick(rec.links.tags ?? []))
}

function merge(company: Company, m: Mutations, random: Random): void {
  const loser = company.tables.candidates.pick(random)
  const winner = company.tables.candidates.pick(random, (each) => each.id !== loser?.id)
  if (loser && winner) m.mergeCandidates(company.integrationId, loser.id, winner.id)
}

function changeTeam(company: Company, m: Mutations, random: Random): void {
  const job = company.tables.jobs.pick(random)
  const user = company.tables.users.pick(random, (each) => !job?.links.team?.some((member) => member.user === each.id))
  const role = company.tables.roles.pick(random, (each) => each.fields.scope === 'JOB')
  if (!job || !user) return
  const team = job.links.team ?? []
  const next = team.length > 3 ? team.slice(1) : [...team, { user: user.id, roles: role ? [role.id] : [] }]
  m.setHiringTeam(company.integrationId, job.id, next)
}

function editOf(rec: Rec<'candidates'>, random: Random): Partial<Rec<'candidates'>['fields']> {
  const choice = random.int(4)
  if (choice === 0) return { title: random.pick(JOB_TITLES) }
  if (choice === 1) return { company: random.pick(EMPLOYERS) }
  if (choice === 2)
    return { phone_numbers: [{ phone_number: `+48 22 ${100_000 + random.int(900_000)}`, type: 'MOBILE' }] }
  const address = `new.${rec.remoteId}.${random.int(1000)}@example.com`
  return { email_addresses: [...rec.fields.email_addresses.slice(0, 2), { email_address: address, type: 'PRIVATE' }] }
}

function jobEdit(job: Rec<'jobs'>, random: Random): Partial<Rec<'jobs'>['fields']> {
  const choice = random.int(3)
  if (choice === 0) return { department: random.pick(DEPARTMENTS) }
  if (choice === 1) return { salary_amount_to: 4000 + 100 * random.int(80) }
  return {
    description: `${job.fields.description ?? ''}<p>Edited: now with ${1 + random.int(9)} breakfasts.</p>`.slice(-4000),
  }
}
