/** The world's pipelines as TRAFFIT's workflows: jobs with the same stages share one, and its states belong to it alone. */
import type { Company } from '../world/company.ts'
import type { JsonObject, Rec } from '../world/types.ts'

/** States of one workflow; the last number is the rejection. */
const STATES_MAX = 32
const REJECTION = STATES_MAX - 1

interface Native {
  readonly id: number
  readonly name: string
  readonly states: readonly JsonObject[]
}

const numberOf = (rec: Rec | undefined): number => Number(rec?.remoteId ?? 0)

/** Numbers of a job's stages, each once, in the order of their founding; later ones than TRAFFIT's workflow has room for are left out. */
function stagesOf(company: Company, job: Rec<'jobs'> | undefined): number[] {
  const { application_stages: stages } = company.tables
  const numbers = (job?.links.stages ?? []).map((id) => numberOf(stages.get(id)))
  return [...new Set(numbers)].filter((number) => number > 0 && number < REJECTION - 1).sort((a, b) => a - b)
}

/** Id of the workflow of a job: the same for the same stages, whatever happened before. */
export function workflowIdOf(company: Company, job: Rec<'jobs'> | undefined): number {
  return 1 + stagesOf(company, job).reduce((mask, number) => mask + 2 ** (number - 1), 0)
}

/** Id of the state that an application is in, or begins in. A rejected or withdrawn one is in the rejecting state. */
export function stateIdOf(
  company: Company,
  application: Rec<'applications'>,
  which: 'current' | 'first' = 'current',
): number {
  const { jobs, application_stages: stages } = company.tables
  const job = jobs.get(application.fields.job_id)
  const numbers = stagesOf(company, job)
  const base = workflowIdOf(company, job) * STATES_MAX
  if (which === 'current' && application.fields.outcome === 'DECLINED') return base + REJECTION
  const current = numberOf(stages.get(application.fields.current_stage_id ?? ''))
  return base + (which === 'current' && numbers.includes(current) ? current : (numbers[0] ?? 0))
}

/** The state with this id, as rows of the history and of a candidate's jobs name it. */
export function stateRef(company: Company, stateId: number): JsonObject {
  const number = stateId % STATES_MAX
  const rec = [...company.tables.application_stages.values()].find((stage) => numberOf(stage) === number)
  const name = number === REJECTION ? 'Rejected' : (rec?.fields.name ?? 'New')
  return { id: stateId, name, type: typeOf(company, stateId), sid: `sid-${number}` }
}

function typeOf(company: Company, stateId: number): string {
  const number = stateId % STATES_MAX
  if (number === REJECTION) return 'end-bad'
  const mask = Math.floor(stateId / STATES_MAX) - 1
  const numbers = Array.from({ length: REJECTION - 1 }, (_, i) => i + 1).filter(
    (n) => Math.floor(mask / 2 ** (n - 1)) % 2 === 1,
  )
  if (number === numbers[0] || number === 0) return 'start'
  const stages = [...company.tables.application_stages.values()]
  if (number === numbers.at(-1)) return 'end-good'
  return stages.find((stage) => numberOf(stage) === number)?.fields.name?.includes('Interview')
    ? 'interview'
    : 'screening'
}

/** The states of a job's workflow, in an order of their own: terminal ones have huge numbers. */
export function statesOf(company: Company, job: Rec<'jobs'> | undefined): JsonObject[] {
  const base = workflowIdOf(company, job) * STATES_MAX
  const numbers = stagesOf(company, job)
  const states = (numbers.length === 0 ? [0] : numbers).map((number, index) => {
    const state = stateRef(company, base + number)
    const order = state['type'] === 'end-good' ? 9_999_997 : index
    return { ...state, order, is_public: false, is_rejection: false }
  })
  const rejection = { ...stateRef(company, base + REJECTION), order: 9_999_998, is_public: false, is_rejection: false }
  return [...states, rejection]
}

/** All workflows, by id. */
export function workflowsOf(company: Company): readonly Native[] {
  const byId = new Map<number, Native>()
  for (const job of company.tables.jobs.values()) {
    const id = workflowIdOf(company, job)
    if (!byId.has(id)) byId.set(id, { id, name: `Workflow ${id}`, states: statesOf(company, job) })
  }
  return [...byId.values()].sort((a, b) => a.id - b.id)
}
