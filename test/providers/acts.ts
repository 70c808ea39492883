import type { Random } from '@tidemark/base'
import type { Company, Model, Rec, World } from '@tidemark/sandbox'
import { recordsOf } from './keys.ts'
import type { SimulatedProvider } from './provider.ts'

type Act = (act: Acting) => void

interface Acting {
  readonly world: World
  readonly company: Company
  readonly id: string
  readonly random: Random
  readonly memory: Memory
}

/** What was deleted lately, and may come back. */
export interface Memory {
  readonly deleted: { readonly model: Model; readonly rec: Rec }[]
  /** Candidates at the beginning: about as many there are to be. */
  readonly size: number
}

export const newMemory = ({ company }: SimulatedProvider): Memory => ({
  deleted: [],
  size: company.tables.candidates.size,
})

const REMEMBERED_MAX = 30
/** The last ones of these stay: a company without any is none. */
const LEAST: Readonly<Partial<Record<Model, number>>> = { jobs: 4, users: 4, tags: 4, roles: 3, application_stages: 5 }

/** What happens beside the usual life, with weights. */
const ACTS: readonly (readonly [Act, number])[] = [
  [({ world, id }) => world.act(id), 50],
  [({ world, id, random }) => void world.createCandidate(id, { title: `No. ${random.int(1000)}` }), 2],
  [remove('candidates', (acting, rec) => acting.world.deleteCandidate(acting.id, rec.id)), 4],
  [remove('candidates', (acting, rec) => acting.world.vanishCandidate(acting.id, rec.id)), 3],
  [remove('applications'), 5],
  [remove('interviews'), 2],
  [remove('offers'), 2],
  [remove('notes'), 1],
  [remove('job_postings'), 1.5],
  [remove('tags'), 1],
  [remove('users'), 1],
  [remove('jobs', removeJob), 1.5],
  [merge, 2],
  [anonymize, 2],
  [restore, 5],
  [edit('users', ({ random }) => ({ status: random.pick(['ACTIVE', 'INACTIVE'] as const) })), 2],
  [edit('users', ({ random }) => ({ last_name: `Took ${random.int(100)}` })), 1],
  [edit('tags', ({ random }) => ({ name: `tag ${random.int(1000)}` })), 1],
  [edit('application_stages', ({ random }) => ({ name: `Stage ${random.int(1000)}` })), 1],
  [edit('jobs', ({ random }) => ({ name: `Gardener ${random.int(1000)}`, confidential: random.chance(0.5) })), 2],
  [edit('job_postings', ({ random }) => ({ status: random.pick(['ACTIVE', 'INACTIVE'] as const) })), 3],
  [edit('candidates', ({ random }) => ({ first_name: `Sam ${random.int(1000)}` })), 4],
  [openOrClose, 3],
  [changeStages, 1.5],
]

/** Something happens in the company; or nothing, where there is nothing that it could happen to. */
export function act({ world, company, integration: id }: SimulatedProvider, memory: Memory, random: Random): void {
  const acting = { world, company, id, random, memory }
  // More goes when there is much, so that long plays stay as small as short ones.
  const isFull = company.tables.candidates.size > memory.size * 1.2
  const perform = isFull && random.chance(0.3) ? remove('candidates') : draw(random)
  perform(acting)
}

function draw(random: Random): Act {
  let rest = random.next() * ACTS.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [perform, weight] of ACTS) {
    rest -= weight
    if (rest < 0) return perform
  }
  return ACTS[0]?.[0] as Act
}

function remove<M extends Model>(
  model: M,
  perform: (acting: Acting, rec: Rec<M>) => unknown = ({ world, id }, rec) => world.remove(id, model, rec.id),
): Act {
  return (acting) => {
    const { company, random, memory } = acting
    if (company.tables[model].size <= (LEAST[model] ?? 3)) return
    const rec = pick(company, model, random)
    if (rec === undefined) return
    perform(acting, rec)
    memory.deleted.push({ model, rec })
    if (memory.deleted.length > REMEMBERED_MAX) memory.deleted.shift()
  }
}

/** With its applications, as in a tool. */
function removeJob({ world, company, id }: Acting, job: Rec<'jobs'>): void {
  for (const application of recordsOf(company, 'applications'))
    if (application.fields.job_id === job.id) world.remove(id, 'applications', application.id)
  world.remove(id, 'jobs', job.id)
}

function edit<M extends Model>(model: M, patch: (acting: Acting) => Partial<Rec<M>['fields']>): Act {
  return (acting) => {
    const rec = pick(acting.company, model, acting.random)
    if (rec !== undefined) acting.world.mutate(acting.id, model, rec.id, patch(acting))
  }
}

function merge({ world, company, id, random }: Acting): void {
  const [loser, winner] = [pick(company, 'candidates', random), pick(company, 'candidates', random)]
  if (loser && winner && loser !== winner) world.mergeCandidates(id, loser.id, winner.id)
}

function anonymize({ world, company, id, random }: Acting): void {
  const rec = pick(company, 'candidates', random)
  if (rec) world.anonymizeCandidate(id, rec.id, random.pick(['blank', 'delete']))
}

/** What was deleted comes back, where what it belongs to is there. */
function restore({ world, company, id, random, memory }: Acting): void {
  const [gone] = memory.deleted.splice(random.int(Math.max(1, memory.deleted.length)), 1)
  if (gone === undefined || company.table(gone.model).get(gone.rec.id)) return
  const fields = gone.rec.fields as unknown as Readonly<Record<string, string>>
  const isHome = PARENTS.every(
    ([field, model]) => fields[field] === undefined || company.table(model).get(fields[field]),
  )
  if (isHome) world.restore(id, gone.model, gone.rec.id)
}

/** Fields that name what a record cannot be without. */
const PARENTS: readonly (readonly [string, Model])[] = [
  ['candidate_id', 'candidates'],
  ['job_id', 'jobs'],
  ['application_id', 'applications'],
]

function openOrClose({ world, company, id, random }: Acting): void {
  const job = pick(company, 'jobs', random)
  if (job === undefined) return
  if (job.fields.status === 'OPEN') world.closeJob(id, job.id)
  else world.openJob(id, job.id)
}

function changeStages({ world, company, id, random }: Acting): void {
  const job = pick(company, 'jobs', random)
  if (job === undefined) return
  const stages = job.links.stages ?? []
  const other = pick(company, 'application_stages', random)
  if (stages.length > 2 && random.chance(0.5)) world.setJobStages(id, job.id, stages.slice(0, -1))
  else if (other && !stages.includes(other.id)) world.setJobStages(id, job.id, [...stages, other.id])
}

const pick = <M extends Model>({ tables }: Company, model: M, random: Random): Rec<M> | undefined =>
  tables[model].pick(random) as Rec<M> | undefined
