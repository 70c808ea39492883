/**
 * Single records: `GET` of their own route, and for an application the jobs of its candidate. 404 and 410 of the API say that there is none; 403 says
 * nothing, so that the answer settles no key, and holds up no other.
 */
import type { PointRead, PointReadOptions, PointReads } from '@tidemark/connector'
import { isJson, NOTHING } from '@tidemark/connector/mapping'
import { type ModelName, remoteKeyParts } from '@tidemark/model'
import { jobsOfCandidate } from './applications.ts'
import type { GetAnswer } from './client.ts'
import { Collector } from './collector.ts'
import { answerInvalid } from './errors.ts'
import { loadPublished, mapSafely } from './jobs.ts'
import { addApplication } from './mapApplications.ts'
import { mapCandidates, mapUsers, STREAM_SCOPE } from './mapping.ts'
import { notOfferedPage, toPage } from './page.ts'
import { loadWorkflows, type Run, refused } from './run.ts'

const MODELS = ['jobs', 'candidates', 'applications', 'users'] as const
type ReadModel = (typeof MODELS)[number]

/**
 * Reads of single records. Where only newly created applications are wanted, applications are not among them: what TRAFFIT says of one does not tell when it
 * was created.
 */
export function createPointReads(runOf: (options: PointReadOptions) => Run, onlyCreated: boolean): PointReads {
  const models = new Set<ModelName>(MODELS.filter((model) => !(onlyCreated && model === 'applications')))
  return {
    models,
    read: (options) => {
      if (!models.has(options.model)) throw new RangeError(`TRAFFIT has no point reads of ${options.model}`)
      return READS[options.model as ReadModel](runOf(options), options.remoteKeys)
    },
  }
}

const READS: Readonly<Record<ReadModel, (run: Run, keys: readonly string[]) => AsyncIterable<PointRead>>> = {
  users: (run, keys) => readEach(run, keys, 'users', '/users', (row) => mapUsers(run.context, [row])),
  candidates: (run, keys) =>
    readEach(run, keys, 'candidates', '/employees', (row) => mapCandidates(run.context, [row], () => undefined)),
  jobs: readJobs,
  applications: readApplications,
}

const settled = (answer: GetAnswer, mapped: PointRead['mapped'], joinedAtMs?: number): PointRead => ({
  ...toPage(answer, mapped, joinedAtMs),
  absent: [],
})

const missing = (answer: GetAnswer, keys: readonly string[]): PointRead => ({
  ...toPage(answer, NOTHING),
  absent: keys.map((remoteKey) => ({ remoteKey, record: {} })),
})

/** May not be read: neither there nor gone. */
const hidden = (answer: GetAnswer, model: ReadModel): PointRead => ({
  ...notOfferedPage(answer, STREAM_SCOPE[model]),
  absent: [],
})

/** The one record under a key; an answer with another id would be another record. */
async function getOne(run: Run, path: string, key: string): Promise<GetAnswer> {
  const id = remoteKeyParts(key)[0] ?? ''
  const answer = await run.client.get({ path: `${path}/${encodeURIComponent(id)}` }, run.caller)
  if (answer.kind === 'refused') throw refused(answer)
  if (answer.kind === 'ok' && !(isJson(answer.json) && String(answer.json['id']) === id))
    throw answerInvalid(`GET ${path}/${id}`, 'the answer is not the record that was asked for')
  return answer
}

async function* readEach(
  run: Run,
  keys: readonly string[],
  model: ReadModel,
  path: string,
  map: (row: unknown) => PointRead['mapped'],
): AsyncGenerator<PointRead> {
  for (const key of keys) {
    const answer = await getOne(run, path, key)
    if (answer.kind === 'absent') yield missing(answer, [key])
    else if (answer.kind === 'forbidden') yield hidden(answer, model)
    else yield settled(answer, map(answer.json))
  }
}

/** Jobs that are joined with the same reading of the published posts. */
const JOBS_PER_READING = 100

async function* readJobs(run: Run, keys: readonly string[]): AsyncGenerator<PointRead> {
  for (let at = 0; at < keys.length; at += JOBS_PER_READING) {
    const workflows = await loadWorkflows(run)
    const published = await loadPublished(run)
    for (const page of [...workflows.pages, ...published.pages]) yield { ...page, absent: [] }
    for (const key of keys.slice(at, at + JOBS_PER_READING)) {
      const answer = await getOne(run, '/recruitments', key)
      if (answer.kind === 'absent') yield missing(answer, [key])
      else if (answer.kind === 'forbidden') yield hidden(answer, 'jobs')
      else {
        const out = new Collector()
        const parts = { published: published.value, workflows: workflows.value }
        mapSafely(run, { row: null, detail: answer.json, ...parts }, out)
        yield settled(answer, out.mapped(), published.value?.requestedAtMs)
      }
    }
  }
}

/** Neighbouring keys of one candidate are settled by one answer. */
async function* readApplications(run: Run, keys: readonly string[]): AsyncGenerator<PointRead> {
  const workflows = await loadWorkflows(run)
  for (const page of workflows.pages) yield { ...page, absent: [] }
  for (let at = 0; at < keys.length; ) {
    const employeeId = remoteKeyParts(keys[at] as string)[0] ?? ''
    let end = at + 1
    while (end < keys.length && remoteKeyParts(keys[end] as string)[0] === employeeId) end++
    const asked = keys.slice(at, end)
    at = end
    for await (const { page, stateOf, rows } of jobsOfCandidate(run, encodeURIComponent(employeeId))) {
      if (page.kind === 'absent') yield missing(page, asked)
      else if (page.kind === 'forbidden') yield hidden(page, 'applications')
      else if (stateOf === null) yield settled(page, NOTHING)
      else {
        const out = new Collector()
        const absent = asked.filter((key) => stateOf(remoteKeyParts(key)[1] ?? '') === undefined)
        for (const key of asked) {
          const [, recruitmentId = ''] = remoteKeyParts(key)
          const state = stateOf(recruitmentId)
          const data = { '/employees/{id}/recruitments': rows.get(recruitmentId) }
          if (state !== undefined)
            addApplication(run.context, { employeeId, recruitmentId }, state, workflows.value, data, out)
        }
        yield { ...settled(page, out.mapped()), absent: absent.map((remoteKey) => ({ remoteKey, record: {} })) }
      }
    }
  }
}
