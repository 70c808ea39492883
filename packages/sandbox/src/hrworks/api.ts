/** What each route answers, apart from authentication, limits and faults. */
import type { Company } from '../world/company.ts'
import type { Rec } from '../world/types.ts'
import { applicantUuid, postUuid, shortId, uuidOf } from './ids.ts'
import type { JobQueue } from './jobQueue.ts'
import type { Registry } from './registry.ts'
import {
  type Row,
  renderApplicant,
  renderBaseApplication,
  renderMasterData,
  renderPerson,
  renderPost,
  renderUnit,
  unitNames,
  unitNumber,
} from './render.ts'
import { createApplications, type Documents } from './writes.ts'

export const PAGE_SIZE = 50

/** A request, without what every route shares. */
export interface Call {
  readonly query: Readonly<Record<string, readonly string[]>>
  readonly params: Readonly<Record<string, string>>
  readonly body: unknown
  /** URL of the request without its query. */
  readonly url: string
}

export interface Reply {
  readonly status: number
  readonly body: unknown
  readonly link?: string
}

const ok = (body: unknown): Reply => ({ status: 200, body })

export const refusal = (status: number, code: string, message: string): Reply => ({
  status,
  body: { errors: [{ code, message }] },
})

const notFound = (): Reply => refusal(404, 'notFound', 'There is no such resource.')

export interface ApiDeps {
  readonly company: Company
  readonly jobs: JobQueue
  readonly registry: Registry
  readonly documents: Documents
  readonly baseUrl: () => string
}

/** The API of one tenant. */
export class Api {
  readonly #deps: ApiDeps

  constructor(deps: ApiDeps) {
    this.#deps = deps
  }

  persons({ query }: Call): Reply {
    const { company } = this.#deps
    const names = unitNames(company).sort()
    const units = names.length === 0 ? ['100'] : names.map(unitNumber)
    const wanted = query['organizationUnits'] ?? units
    const byUnit: Record<string, Row[]> = Object.fromEntries(wanted.map((unit) => [unit, []]))
    for (const user of this.#users(query)) {
      const unit = units[Number.parseInt(uuidOf('unit of', user.id).slice(0, 6), 16) % units.length] ?? ''
      byUnit[unit]?.push(renderPerson(user))
    }
    return ok(byUnit)
  }

  masterData(call: Call): Reply {
    return page(call, 'persons', this.#users(call.query), renderMasterData)
  }

  organizationUnits(): Reply {
    return ok({ organizationUnits: unitNames(this.#deps.company).map(renderUnit) })
  }

  posts({ query }: Call): Reply {
    const { company } = this.#deps
    const jobs = Array.from(company.tables.jobs.values())
    const listed = onlyActive(query) ? jobs.filter(({ fields }) => fields.status === 'OPEN') : jobs
    return ok({ posts: listed.map((job) => renderPost(company, job)) })
  }

  post({ params }: Call): Reply {
    const { company } = this.#deps
    const job = Array.from(company.tables.jobs.values()).find((each) => postUuid(each) === params['id'])
    return job === undefined ? notFound() : ok(renderPost(company, job))
  }

  /** Only applicants that have an application are listed. */
  applicants(call: Call): Reply {
    const { company } = this.#deps
    const { applicants: wanted, statusFilter } = call.query
    const listed = Array.from(company.tables.candidates.values()).filter(
      ({ id }) =>
        company.children('applications', id).length > 0 &&
        (wanted === undefined || wanted.includes(applicantUuid(id))) &&
        (statusFilter === undefined || this.#applications(id).some((row) => hasStatus(call, row))),
    )
    return page(call, 'applicants', listed, (candidate) => this.#applicant(candidate))
  }

  applicant({ params }: Call): Reply {
    for (const candidate of this.#deps.company.tables.candidates.values())
      if (applicantUuid(candidate.id) === params['id']) return ok(this.#applicant(candidate))
    return notFound()
  }

  jobApplications(call: Call): Reply {
    const { company } = this.#deps
    const posts = call.query['posts']
    const isWanted = (row: Row): boolean =>
      hasStatus(call, row) &&
      (posts === undefined || posts.some((post) => post === row['postId'] || post === row['postUuid']))
    const all = Array.from(company.tables.applications.values())
    const listed =
      posts === undefined && !call.query['statusFilter'] ? all : all.filter((each) => isWanted(this.#base(each)))
    return page(call, 'jobApplications', listed, (each) => this.#jobApplication(each))
  }

  createJobApplications({ body }: Call): Reply {
    const { company, baseUrl } = this.#deps
    return this.#write('job-applications', rowsIn(body), (rows) => createApplications(company, rows, baseUrl()))
  }

  addFile({ params, query, body }: Call): Reply {
    const { company, documents } = this.#deps
    const id = params['id'] ?? ''
    const fileName = query['fileName']?.[0]
    if (!fileName || !query['contentType']?.[0])
      return refusal(400, 'badRequest', 'contentType and fileName are required.')
    if (!query['url']?.[0] && !(body instanceof Uint8Array && body.length > 0))
      return refusal(400, 'badRequest', 'There is no file.')
    return this.#write('job-applications', [{}], () => {
      const exists = Array.from(company.tables.applications.values()).some((each) => shortId(each) === id)
      if (!exists) throw new RangeError(`there is no application ${id}`)
      documents.add(id, fileName)
      return []
    })
  }

  webhooks({ query }: Call): Reply {
    const [resource, action] = [query['resource']?.[0], query['action']?.[0]]
    const filter = { ...(resource === undefined ? {} : { resource }), ...(action === undefined ? {} : { action }) }
    return ok({ webhooks: this.#deps.registry.list({ onlyActive: onlyActive(query), ...filter }) })
  }

  createWebhooks({ body }: Call): Reply {
    return this.#write('webhooks', rowsIn(body), (rows) => this.#deps.registry.create(rows))
  }

  editWebhooks({ body }: Call): Reply {
    return this.#write('webhooks', rowsIn(body), (rows) => this.#deps.registry.edit(rows))
  }

  removeWebhooks({ query }: Call): Reply {
    const ids = (query['numbers'] ?? []).map(Number)
    return this.#write(
      'webhooks',
      ids.map((id) => ({ id })),
      () => this.#deps.registry.remove(ids),
    )
  }

  job(kind: string, { params }: Call): Reply {
    const state = this.#deps.jobs.poll(kind, params['id'] ?? '')
    return state === undefined ? refusal(400, 'unknownJob', 'There is no such job.') : ok(state)
  }

  #write(
    kind: string,
    rows: readonly Row[] | null,
    write: (rows: readonly Row[]) => ReturnType<Registry['create']>,
  ): Reply {
    if (rows === null || rows.length === 0) return refusal(400, 'badRequest', 'There is no row to write.')
    return ok({ jobId: this.#deps.jobs.submit(kind, rows.length, () => write(rows)) })
  }

  #users(query: Call['query']): Rec<'users'>[] {
    const users = Array.from(this.#deps.company.tables.users.values())
    return onlyActive(query) ? users.filter(({ fields }) => fields.status === 'ACTIVE') : users
  }

  #applicant(candidate: Rec<'candidates'>): Row {
    return { ...renderApplicant(candidate), jobApplications: this.#applications(candidate.id) }
  }

  #applications(candidateId: string): Row[] {
    const { company } = this.#deps
    const all = company.children('applications', candidateId).map((id) => company.tables.applications.get(id))
    return all.flatMap((each) => (each === undefined ? [] : [this.#base(each)]))
  }

  #base(application: Rec<'applications'>): Row {
    const { company, documents } = this.#deps
    return renderBaseApplication(company, application, documents.of(shortId(application)))
  }

  #jobApplication(application: Rec<'applications'>): Row {
    const candidate = this.#deps.company.tables.candidates.get(application.fields.candidate_id)
    return { ...this.#base(application), applicant: candidate === undefined ? null : renderApplicant(candidate) }
  }
}

const onlyActive = (query: Call['query']): boolean => query['onlyActive']?.[0] !== 'false'

const hasStatus = ({ query }: Call, row: Row): boolean =>
  query['statusFilter']?.includes(String(row['statusIdentifier'])) ?? true

function rowsIn(body: unknown): readonly Row[] | null {
  const data = typeof body === 'object' && body !== null && 'data' in body ? body.data : null
  const isRows = Array.isArray(data) && data.every((row) => typeof row === 'object' && row !== null)
  return isRows ? (data as Row[]) : null
}

/** One page of 50 with the `Link` header that leads to the others. */
function page<T>({ query, url }: Call, name: string, all: readonly T[], render: (each: T) => Row): Reply {
  const number = Math.max(1, Math.trunc(Number(query['page']?.[0] ?? '1')) || 1)
  const last = Math.max(1, Math.ceil(all.length / PAGE_SIZE))
  const body = { [name]: all.slice((number - 1) * PAGE_SIZE, number * PAGE_SIZE).map(render) }
  const rest = Object.entries(query).flatMap(([key, values]) =>
    key === 'page' ? [] : values.map((value) => [key, value]),
  )
  const link = (to: number, rel: string): string =>
    `<${url}?${new URLSearchParams([...rest, ['page', String(to)]] as [string, string][])}>; rel="${rel}"`
  const links = [
    link(1, 'first'),
    ...(number > 1 ? [link(number - 1, 'prev')] : []),
    ...(number < last ? [link(number + 1, 'next')] : []),
    link(last, 'last'),
  ]
  return last === 1 ? ok(body) : { ...ok(body), link: links.join(', ') }
}
