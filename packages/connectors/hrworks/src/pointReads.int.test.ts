import type { ModelName } from '@tidemark/model'
import { applicantUuid, postUuid, shortId } from '@tidemark/sandbox/hrworks'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { INTEGRATION, recordsOf, startTenant, type Tenant } from '../test/tenant.ts'

let tenant: Tenant

beforeEach(async () => {
  tenant = await startTenant()
})

afterEach(() => tenant.close())

async function fetchModel(stream: string, model = stream as ModelName) {
  const { pages, error } = await tenant.fetch(stream)
  expect(error).toBeUndefined()
  return recordsOf(pages, model)
}

describe('what is gone', () => {
  it('is what a later run lacks; what was closed is there', async () => {
    const [job, other] = [...tenant.company.tables.jobs.values()].filter(({ fields }) => fields.status === 'OPEN')
    const key = (each: typeof job): string => {
      const [posting] = tenant.company.children('job_postings', each?.id ?? '')
      const offer = tenant.company.tables.job_postings.get(posting ?? '')
      return offer ? shortId(offer) : ''
    }
    const keys = [key(job), key(other)]
    tenant.world.closeJob(INTEGRATION, job?.id ?? '')
    tenant.world.remove(INTEGRATION, 'jobs', other?.id ?? '')
    const jobs = await fetchModel('jobs')
    expect(keys.map((each) => jobs.get(each)?.['status'])).toEqual(['CLOSED', undefined])
  })

  it('is told by a point read: a candidate without applications is there, a deleted one is not', async () => {
    const [one, two, three] = [...tenant.company.tables.candidates.values()].map(({ id }) => id) as [
      string,
      string,
      string,
    ]
    for (const application of [...tenant.company.children('applications', one)])
      tenant.world.remove(INTEGRATION, 'applications', application)
    tenant.world.deleteCandidate(INTEGRATION, two)
    const listed = await fetchModel('candidates')
    expect([one, two, three].map((each) => listed.has(applicantUuid(each)))).toEqual([false, false, true])
    const answers = await tenant.pointRead('candidates', [one, two, three].map(applicantUuid))
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 200])
    expect(answers.map(({ mapped }) => mapped.records.length)).toEqual([1, 0, 1])
    expect(answers.map(({ absent }) => absent)).toEqual([[], [{ remoteKey: applicantUuid(two), record: {} }], []])
  })

  it('is told of jobs by their post, or by the list of all', async () => {
    const jobs = await fetchModel('jobs')
    const keys = [...jobs.keys()]
    const answers = await tenant.pointRead('jobs', [...keys, 'abcdef', postUuid({ id: 'nobody' } as never)])
    const found = answers.flatMap(({ mapped }) => mapped.records.map(({ remoteKey }) => remoteKey))
    expect(found.sort()).toEqual(keys.sort())
    expect(answers.flatMap(({ absent }) => absent.map(({ remoteKey }) => remoteKey)).sort()).toEqual(
      ['abcdef', postUuid({ id: 'nobody' } as never)].sort(),
    )
  })

  it('is not told by an answer that is refused', async () => {
    tenant.simulator.forbidden.add('applicants')
    tenant.simulator.forbidden.add('posts')
    const [candidate] = await tenant.pointRead('candidates', ['x'])
    expect(candidate).toMatchObject({ absent: [], notOffered: expect.any(String) as string })
    const [job] = await tenant.pointRead('jobs', ['x'])
    expect(job).toMatchObject({ absent: [], notOffered: expect.any(String) as string })
  })

  it('is asked of no model that cannot be asked for', async () => {
    expect(() =>
      tenant.source.pointReads?.read({
        integrationId: INTEGRATION,
        model: 'users',
        remoteKeys: [],
        signal: new AbortController().signal,
      }),
    ).toThrow(RangeError)
  })
})
