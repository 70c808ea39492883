import { afterEach, describe, expect, it } from 'vitest'
import { type Item, type Rig, startRig } from '../testkit.ts'

let rig: Rig
afterEach(() => rig.close())

describe('the API', () => {
  it('shows every key of the contract, and null where there is nothing', async () => {
    rig = await startRig()
    const keys = async (endpoint: string): Promise<string[]> => Object.keys((await rig.all(endpoint))[0]).sort()
    const base = ['id', 'remote_id', 'changed_at', 'remote_deleted_at']
    const times = ['remote_created_at', 'remote_updated_at']
    const sorted = (...names: string[]): string[] => names.sort()
    expect(await keys('tags')).toEqual(sorted(...base, 'name', 'remote_data'))
    expect(await keys('rejection-reasons')).toEqual(sorted(...base, 'name', 'remote_data'))
    expect(await keys('roles')).toEqual(sorted(...base, 'remote_label', 'scope', 'unified_type', 'remote_data'))
    expect(await keys('application-stages')).toEqual(sorted(...base, 'name', 'status', 'custom_fields', 'remote_data'))
    expect(await keys('users')).toEqual(
      sorted(...base, 'first_name', 'last_name', 'email', 'status', 'system_roles', 'remote_data'),
    )
    expect(await keys('notes')).toEqual(
      sorted(
        ...base,
        ...times,
        'candidate_id',
        'application_id',
        'author_id',
        'title',
        'content_html',
        'is_private',
        'author',
      ),
    )
    expect(await keys('offers')).toEqual(
      sorted(
        ...[...base, ...times, 'status', 'employment_start_date', 'application_id', 'custom_fields'],
        ...['integration_fields', 'remote_data', 'application'],
      ),
    )
    expect(await keys('interviews')).toEqual(
      sorted(
        ...[...base, ...times, 'title', 'starting_at', 'ending_at', 'location', 'video_conferencing_url'],
        ...['application_id', 'stage_id', 'canceled', 'remote_data', 'users', 'application'],
      ),
    )
    expect(await keys('applications')).toEqual(
      sorted(
        ...[...base, ...times, 'outcome', 'rejection_reason_name', 'rejected_at', 'current_stage_id', 'job_id'],
        ...['candidate_id', 'screening_question_answers', 'custom_fields', 'integration_fields', 'remote_url'],
        ...['remote_data', 'candidate', 'current_stage', 'job', 'interviews', 'offers'],
      ),
    )
    expect(await keys('candidates')).toEqual(
      sorted(
        ...[...base, ...times, 'first_name', 'last_name', 'company', 'title', 'confidential', 'source'],
        ...['phone_numbers', 'email_addresses', 'social_media', 'location', 'custom_fields', 'integration_fields'],
        ...['remote_url', 'remote_data', 'applications', 'tags'],
      ),
    )
    expect(await keys('jobs')).toEqual(
      sorted(
        ...[...base, ...times, 'name', 'job_code', 'description', 'confidential', 'weekly_hours', 'employment_type'],
        ...['status', 'visibility', 'category', 'department', 'post_url', 'experience_level', 'remote_work_status'],
        ...['salary_amount', 'salary_amount_from', 'salary_amount_to', 'salary_currency', 'salary_period', 'location'],
        ...['custom_fields', 'integration_fields', 'remote_url', 'opened_at', 'closed_at', 'contact_id', 'remote_data'],
        ...['stages', 'screening_questions', 'job_postings', 'hiring_team'],
      ),
    )
  })

  it('nests what belongs together, with the stage index of the job', async () => {
    rig = await startRig()
    const jobs = new Map((await rig.all('jobs')).map((job: Item) => [job.id, job]))
    const candidates = new Map((await rig.all('candidates')).map((each: Item) => [each.id, each]))
    for (const app of await rig.all('applications')) {
      const job = jobs.get(app.job_id) as Item
      const candidate = candidates.get(app.candidate_id) as Item
      expect(app.job).toEqual({ id: job.id, remote_id: job.remote_id, name: job.name })
      expect(app.candidate).toMatchObject({ first_name: candidate.first_name, tags: candidate.tags })
      const inCandidate = candidate.applications.find((each: Item) => each.id === app.id)
      expect(inCandidate).toMatchObject({ outcome: app.outcome, changed_at: app.changed_at })
      const stage = job.stages.find((each: Item) => each.id === app.current_stage_id)
      expect(app.current_stage.index).toBe(stage.index)
    }
    const [job] = (await rig.all('jobs')).filter((each: Item) => each.hiring_team.length > 0)
    expect(job.hiring_team[0].job_roles[0]).toMatchObject({ scope: 'JOB' })
  })

  it('gives records of two models with the same remote id the same Kombo id', async () => {
    rig = await startRig()
    const [tag] = (await rig.get('/ats/tags?remote_ids=3')).body.data.results
    const [user] = (await rig.get('/ats/users?remote_ids=3')).body.data.results
    expect(tag.id).toBe(user.id)
  })

  it('accepts the key, refuses others, and says which parameter is wrong', async () => {
    rig = await startRig()
    const bare = await fetch(`${rig.url}/check-api-key`)
    expect(bare.status).toBe(401)
    const without = await fetch(`${rig.url}/ats/jobs`, { headers: { authorization: `Bearer ${rig.sandbox.apiKey}` } })
    expect([without.status, ((await without.json()) as Item).error.code]).toEqual([400, 'PLATFORM.INPUT_INVALID'])
    for (const [query, name] of [
      ['page_size=0', 'page_size'],
      ['page_size=251', 'page_size'],
      ['page_size=1.5', 'page_size'],
      ['updated_after=yesterday', 'updated_after'],
      ['updated_after=2026-13-45', 'updated_after'],
      ['include_deleted=yes', 'include_deleted'],
      ['ignore_unsupported_filters=1', 'ignore_unsupported_filters'],
      ['cursor=abc', 'cursor'],
      ['remote_created_after=x', 'remote_created_after'],
    ] as const) {
      const { status, body } = await rig.get(`/ats/jobs?${query}`)
      expect([query, status, body.error.code]).toEqual([query, 400, 'PLATFORM.INPUT_INVALID'])
      expect(body.error.message).toContain(name)
      expect(Object.keys(body.error).sort()).toEqual(['code', 'log_url', 'message', 'title'])
    }
    expect((await rig.get('/ats/nothing')).status).toBe(404)
  })

  it('filters with AND between parameters and OR within one', async () => {
    rig = await startRig()
    const jobs = await rig.all('jobs')
    const [a, b] = jobs
    expect(await rig.all('jobs', `job_codes=${a.job_code},${b.job_code}`)).toHaveLength(2)
    expect(await rig.all('jobs', `ids=${a.id},${b.id}&remote_ids=${b.remote_id}`)).toEqual([b])
    expect(
      await rig.all('jobs', `name_contains=${encodeURIComponent(a.name.slice(1, 6).toUpperCase())}`),
    ).toContainEqual(a)
    expect(await rig.all('jobs', `post_url=${encodeURIComponent(a.post_url)}`)).toEqual([a])
    expect(await rig.all('jobs', 'status=OPEN')).toEqual(jobs.filter((job) => job.status === 'OPEN'))
    expect(await rig.all('jobs', 'visibilities=INTERNAL,UNLISTED')).toEqual(
      jobs.filter((job) => ['INTERNAL', 'UNLISTED'].includes(job.visibility)),
    )
    const day = a.remote_created_at.slice(0, 10)
    expect(await rig.all('jobs', `remote_created_after=${day}T23:59:59Z`)).toEqual(
      jobs.filter((job) => job.remote_created_at >= day),
    )
    const apps = await rig.all('applications')
    expect(await rig.all('applications', `job_remote_ids=${a.remote_id}`)).toEqual(
      apps.filter((app) => app.job_id === a.id),
    )
    const stage = apps[0].current_stage_id
    expect(await rig.all('applications', `current_stage_ids=${stage}&outcome=HIRED`)).toEqual(
      apps.filter((app) => app.current_stage_id === stage && app.outcome === 'HIRED'),
    )
    const interviews = await rig.all('interviews')
    const jobOf = interviews[0].application.job.id
    expect(await rig.all('interviews', `job_ids=${jobOf}`)).toEqual(
      interviews.filter((each) => each.application.job.id === jobOf),
    )
    const notes = await rig.all('notes')
    const tied = notes.find((note) => note.application_id !== null)
    expect(await rig.all('notes', `application_ids=${tied.application_id}`)).toContainEqual(tied)
    expect(await rig.all('notes', `candidate_ids=${tied.candidate_id}`)).toContainEqual(tied)
    const [person] = await rig.all('candidates')
    const name = encodeURIComponent(person.first_name.toLowerCase())
    expect(await rig.all('candidates', `first_name=${name}`)).toContainEqual(person)
    expect(await rig.all('candidates', 'ids=')).toEqual([])
  })

  it('limits the rate per window and says when it ends', async () => {
    rig = await startRig({ rateLimit: { limit: 2 } })
    const headers = (h: Headers) => ['limit', 'remaining', 'reset'].map((name) => h.get(`ratelimit-${name}`))
    expect(headers((await rig.get('/ats/tags')).headers)).toEqual(['2', '1', '60'])
    await rig.clock.advance(10_500)
    const last = await rig.get('/ats/tags')
    expect([last.status, ...headers(last.headers)]).toEqual([200, '2', '0', '50'])
    const over = await rig.get('/ats/tags')
    expect([over.status, over.body.error.code, ...headers(over.headers)]).toEqual([
      ...[429, 'PLATFORM.RATE_LIMIT_EXCEEDED', '2', '0', '50'],
    ])
    await rig.clock.advance(49_500)
    expect((await rig.get('/ats/tags')).status).toBe(200)
  })

  it('with the coverage of TRAFFIT lacks its models and fields, and filters on them find nothing unless they are ignored', async () => {
    rig = await startRig({
      coverage: 'tool',
      integrations: [{ tool: 'traffit', jobs: 5, candidates: 10, applications: 20 }],
    })
    const refused = await rig.get('/ats/interviews')
    expect([refused.status, refused.body.error.code]).toEqual([400, 'INTEGRATION.MODEL_NOT_AVAILABLE'])
    const [candidate] = await rig.all('candidates')
    expect(candidate).toMatchObject({ phone_numbers: [], location: null, title: null })
    expect(candidate.first_name).not.toBeNull()
    const [job] = await rig.all('jobs')
    expect(job).toMatchObject({ job_code: null, visibility: null, screening_questions: [] })
    expect(await rig.all('jobs', 'job_codes=X')).toEqual([])
    expect(await rig.all('jobs', 'job_codes=X&ignore_unsupported_filters=true')).toHaveLength(5)
  })
})
