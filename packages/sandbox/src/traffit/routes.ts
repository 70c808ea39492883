/** TRAFFIT's read routes over a company. */
import type { Company } from '../world/company.ts'
import { filesOf } from '../world/files.ts'
import type { JsonObject, Model, Rec } from '../world/types.ts'
import type { History } from './history.ts'
import { type Headers, type Listing, listRows, type Rendered, refusal } from './listing.ts'
import * as native from './native.ts'
import { stateIdOf, stateRef, statesOf, workflowsOf } from './workflows.ts'

export interface RouteContext {
  readonly company: Company
  readonly history: History
  readonly headers: Headers
  /** Numbers in the path, in order. */
  readonly ids: readonly string[]
  /** A fault: this page has one row less. */
  readonly shortPage: number | null
}

export interface Route {
  /** Below the API; `#` stands for a number. Both with and without a slash at the end. */
  readonly path: string
  /** Name in faults. */
  readonly name: string
  readonly scope: string
  readonly handle: (context: RouteContext) => Rendered
}

const TIMES = ['id', 'created_at', 'updated_at'] as const

const ok = (body: unknown): Rendered => ({ status: 200, headers: {}, body })
const notFound = (): Rendered => refusal(404, 'Not Found')

/** All records of a model by ascending id. */
const records = <M extends Model>({ company }: RouteContext, model: M): Rec<M>[] =>
  ([...company.table(model).values()] as Rec<M>[]).sort((a, b) => Number(a.remoteId) - Number(b.remoteId))

/** The record of a number in the path. */
function recordOf<M extends Model>({ company, ids }: RouteContext, model: M): Rec<M> | undefined {
  try {
    return company.find(model, String(Number(ids[0])))
  } catch {
    // The only thing that find throws: there is none.
    return undefined
  }
}

const list = <T>(
  context: RouteContext,
  listing: Pick<Listing<T>, 'items' | 'render'> & Partial<Listing<T>>,
): Rendered => listRows({ filters: ['id'], aboveCap: 'capped', ...listing }, context.headers, context.shortPage)

const one =
  <M extends Model>(model: M, render: (rec: Rec<M>, context: RouteContext) => unknown) =>
  (context: RouteContext): Rendered => {
    const rec = recordOf(context, model)
    return rec ? ok(render(rec, context)) : notFound()
  }

/** Applications of a candidate or a job. */
function applicationsOf({ company }: RouteContext, by: 'candidate_id' | 'job_id', id: string): Rec<'applications'>[] {
  if (by === 'candidate_id')
    return company.children('applications', id).flatMap((each) => company.tables.applications.get(each) ?? [])
  return [...company.tables.applications.values()].filter(({ fields }) => fields.job_id === id)
}

function jobsOfCandidate(context: RouteContext): Rendered {
  const candidate = recordOf(context, 'candidates')
  if (!candidate) return notFound()
  const { company } = context
  const rows = applicationsOf(context, 'candidate_id', candidate.id).flatMap((application): JsonObject[] => {
    const job = company.tables.jobs.get(application.fields.job_id)
    const state = { id: stateRef(company, stateIdOf(company, application))['id'] as number }
    return job ? [{ recruitment: { id: Number(job.remoteId) }, state }] : []
  })
  return list(context, { items: rows, render: (row) => row })
}

function candidatesOfJob(context: RouteContext): Rendered {
  const job = recordOf(context, 'jobs')
  if (!job) return notFound()
  const candidates = applicationsOf(context, 'job_id', job.id).flatMap(
    ({ fields }) => context.company.tables.candidates.get(fields.candidate_id) ?? [],
  )
  return list(context, { items: [...new Set(candidates)], render: native.employeeOfJobRow })
}

function tagsOfCandidate(context: RouteContext): Rendered {
  const candidate = recordOf(context, 'candidates')
  if (!candidate) return notFound()
  const tags = (candidate.links.tags ?? []).flatMap((id) => context.company.tables.tags.get(id) ?? [])
  return list(context, { items: tags, render: native.tagRow })
}

function fileContent(context: RouteContext): Rendered {
  const candidate = recordOf(context, 'candidates')
  const file = candidate && filesOf(candidate).find(({ remoteId }) => remoteId === context.ids[1])
  return file ? { status: 200, headers: { 'content-type': file.contentType }, body: file.content } : notFound()
}

function dictionaries(context: RouteContext): Rendered {
  const labels = new Set(records(context, 'candidates').flatMap(({ fields }) => fields.source ?? []))
  const items = [...labels].map((value) => ({ id: native.labelId(value), value }))
  return list(context, { items, render: (item) => item })
}

const sources = (context: RouteContext): Rendered =>
  list(context, {
    items: records(context, 'candidates').filter(({ fields }) => fields.source !== null),
    render: native.sourceRow,
  })

function workflows(context: RouteContext, withStates: boolean): Rendered {
  const render = ({ id, name, states }: ReturnType<typeof workflowsOf>[number]): JsonObject =>
    withStates ? { id, name, states } : { id, name }
  return list(context, { items: workflowsOf(context.company), render })
}

export const ROUTES: readonly Route[] = [
  {
    ...{ path: '/users', name: 'users', scope: 'user' },
    handle: (context) => list(context, { items: records(context, 'users'), render: native.userRow }),
  },
  { path: '/users/#', name: 'users', scope: 'user', handle: one('users', native.userRow) },
  {
    ...{ path: '/recruitments', name: 'recruitments', scope: 'recruitment' },
    handle: (context) =>
      list(context, {
        items: records(context, 'jobs'),
        render: native.recruitmentRow,
        filters: [...TIMES, 'is_closed'],
      }),
  },
  {
    ...{ path: '/recruitments/#', name: 'recruitment', scope: 'recruitment' },
    handle: one('jobs', (job, { company }) => native.recruitmentDetail(company, job)),
  },
  {
    ...{ path: '/recruitments/#/states', name: 'states', scope: 'recruitment' },
    handle: one('jobs', (job, { company }) => statesOf(company, job)),
  },
  { path: '/recruitments/#/employees', name: 'recruitment-employees', scope: 'recruitment', handle: candidatesOfJob },
  { path: '/workflows', name: 'workflows', scope: 'workflow', handle: (context) => workflows(context, false) },
  { path: '/workflows/details', name: 'workflows', scope: 'workflow', handle: (context) => workflows(context, true) },
  {
    ...{ path: '/employees', name: 'employees', scope: 'employee' },
    handle: (context) =>
      list(context, {
        ...{ items: records(context, 'candidates'), render: native.employeeRow, aboveCap: 'refused' },
        filters: [...TIMES, 'email', 'name', 'lastname', 'status'],
      }),
  },
  {
    ...{ path: '/employees/recruitment_history', name: 'history', scope: 'employee' },
    handle: (context) =>
      list(context, {
        items: context.history.stays(),
        render: (stay) => native.historyRow(context.company, stay),
        filters: [...TIMES, 'date'],
      }),
  },
  { path: '/employees/#', name: 'employee', scope: 'employee', handle: one('candidates', native.employeeRow) },
  { path: '/employees/#/tags', name: 'tags', scope: 'employee', handle: tagsOfCandidate },
  { path: '/employees/#/recruitments', name: 'employee-recruitments', scope: 'employee', handle: jobsOfCandidate },
  {
    ...{ path: '/employees/#/files', name: 'files', scope: 'file' },
    handle: one('candidates', (candidate) => filesOf(candidate).map(native.fileRow)),
  },
  { path: '/employees/#/files/#/content', name: 'file-content', scope: 'file', handle: fileContent },
  { path: '/sources', name: 'sources', scope: 'source', handle: sources },
  { path: '/dictionaries', name: 'dictionaries', scope: 'dictionary', handle: dictionaries },
]

/** The public list, which needs no token. */
export function published(context: RouteContext): Rendered {
  const items = records(context, 'job_postings').flatMap((rec): JsonObject[] => {
    const row = native.publishedRow(context.company, rec)
    return row === null ? [] : [row]
  })
  return list<JsonObject>(context, { items, render: (row) => row, filters: ['job_post_id'] })
}
