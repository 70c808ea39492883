/** What each connector's mapping makes of its own fixtures: samples in the provider's words. */
import { readFileSync } from 'node:fs'
import { seededRandom } from '@tidemark/base'
import type { Mapped, MappedRecord } from '@tidemark/connector'
import type { Json } from '@tidemark/connector/mapping'
import { connector as knit } from '@tidemark/connector-knit'
import { ManualClock } from '@tidemark/testing'
import {
  mapApplications,
  mapCandidates,
  mapJobStages,
  mapJobs,
  mapUsers,
} from '../../packages/connectors/hrworks/src/mapping.ts'
import { Directory, personRows } from '../../packages/connectors/hrworks/src/people.ts'
import { createStatuses } from '../../packages/connectors/hrworks/src/statuses.ts'
import { type KomboStream, mapPage } from '../../packages/connectors/kombo/src/mapping.ts'
import { Collector } from '../../packages/connectors/traffit/src/collector.ts'
import { addApplication, pairOf } from '../../packages/connectors/traffit/src/mapApplications.ts'
import { mapJob } from '../../packages/connectors/traffit/src/mapJobs.ts'
import * as traffit from '../../packages/connectors/traffit/src/mapping.ts'
import { readPublished } from '../../packages/connectors/traffit/src/published.ts'
import { createTimes } from '../../packages/connectors/traffit/src/times.ts'
import { mapStages, readWorkflows } from '../../packages/connectors/traffit/src/workflows.ts'
import type { ConnectorName } from './reading.ts'

/** Records of the fixtures of each connector; throws when one of them cannot be mapped. */
export const FIXTURES: Readonly<Record<ConnectorName, () => readonly MappedRecord[]>> = {
  kombo: () => recordsOf(KOMBO.map(([stream, name]) => mapPage(stream, [load('kombo', name)]))),
  traffit: () => recordsOf(traffitFixtures()),
  hrworks: () => recordsOf(hrworksFixtures()),
  knit: () => recordsOf(knitFixtures()),
}

const load = <T = Json>(connector: ConnectorName, name: string): T => {
  const url = new URL(`../../packages/connectors/${connector}/fixtures/${name}.json`, import.meta.url)
  return JSON.parse(readFileSync(url, 'utf8')) as T
}

function recordsOf(all: readonly Mapped[]): readonly MappedRecord[] {
  for (const { error } of all.flatMap(({ failures }) => failures)) throw error
  return all.flatMap(({ records }) => records)
}

const KOMBO: readonly (readonly [KomboStream, string])[] = [
  ['applications', 'application'],
  ['candidates', 'candidate'],
  ['interviews', 'interview'],
  ['jobs', 'job'],
  ['jobs', 'job-nested'],
  ['notes', 'note'],
  ['users', 'user'],
]

function traffitFixtures(): readonly Mapped[] {
  const context = { integrationId: 'traffit:acme', times: createTimes('UTC') }
  const rows = load<Json[]>('traffit', 'workflows')
  const workflows = readWorkflows(rows)
  const jobs = new Collector()
  const row = load('traffit', 'recruitment-row')
  const detail = load('traffit', 'recruitment-detail')
  mapJob(context, { row, detail, published: readPublished(load('traffit', 'published'), 0), workflows }, jobs)
  const applications = new Collector()
  for (const stay of load<Json[]>('traffit', 'history')) {
    const pair = pairOf(stay)
    if (pair) addApplication(context, pair, stay['workflow_state'], workflows, stay, applications)
  }
  return [
    traffit.mapUsers(context, [load('traffit', 'user')]),
    // Their source is in another listing, of which there is no fixture.
    traffit.mapCandidates(context, [load('traffit', 'employee')], () => undefined),
    ...[mapStages(rows, workflows), jobs.mapped(), applications.mapped()],
  ]
}

function hrworksFixtures(): readonly Mapped[] {
  const statuses = createStatuses({ statusOrder: null, statusOutcomes: {} })
  const context = { integrationId: 'hrworks:acme', nowMs: Date.parse('2026-03-01T09:00:00Z'), statuses }
  const posts = [load('hrworks', 'post'), load('hrworks', 'post-without-offers')]
  const directory = new Directory()
  directory.addMasterData(load<{ persons: unknown[] }>('hrworks', 'master-data').persons)
  const all = [
    mapUsers(personRows(load('hrworks', 'persons')) ?? [], directory),
    mapJobs(posts, context),
    mapJobStages(posts, ['interview'], context),
    mapCandidates([load('hrworks', 'applicant')]),
    mapApplications([load('hrworks', 'job-application')], context),
  ]
  return all.map(({ mapped }) => mapped)
}

function knitFixtures(): readonly Mapped[] {
  const options = knit.parseOptions({ base_url: 'http://localhost', api_key: 'key', integrations: ['int-1'] })
  const source = knit.create(options, { clock: new ManualClock(), random: seededRandom(1) })
  const others = Object.values(load<Record<string, Json>>('knit', 'events'))
  const effects = [load('knit', 'job'), load('knit', 'application'), ...others].flatMap((event) => {
    const rawBody = Buffer.from(JSON.stringify(event))
    return source.readWebhook({ headers: { 'x-knit-integration-id': 'int-1' }, query: {}, rawBody }).effects
  })
  return effects.flatMap((effect) => (effect.kind === 'records' ? [effect.mapped] : []))
}
