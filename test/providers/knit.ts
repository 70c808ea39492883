import { seededRandom } from '@tidemark/base'
import type { Mapped } from '@tidemark/connector'
import { connector } from '@tidemark/connector-knit'
import { World } from '@tidemark/sandbox'
import { createKnitSimulator, type KnitFaultKind } from '@tidemark/sandbox/knit'
import { isActiveJob } from '../../packages/sandbox/src/knit/jobs.ts'
import { startReceiver } from '../../packages/sandbox/src/knit/testkit.ts'
import type { SimClock } from '../sync/clock.ts'
import { foundIn, Keys, recordsOf } from './keys.ts'
import type { SimulatedProvider, StartProvider } from './provider.ts'
import { checked, during } from './reading.ts'

const INTEGRATION = 'int-1'
const API_KEY = 'knit-api-key'
const SIZES = { jobs: 9, candidates: 60, applications: 80 }

const FAULTS: readonly KnitFaultKind[] = [
  ...(['rate_limited', 'server_error', 'garbage', 'cut'] as const),
  ...(['duplicate', 'held', 'wrong_signature', 'reordered', 'sync_failed'] as const),
]

/** Knit in front of one company. */
export const startKnit: StartProvider = async ({ clock, seed }) => {
  const world = new World({ seed, now: () => clock.now(), onMutation: (mutation) => provider.onMutation(mutation) })
  const company = world.found(SIZES, 'workable', INTEGRATION)
  const knit = createKnitSimulator({
    ...{ clock, apiKey: API_KEY, accounts: [{ company }], runMs: seed % 2 === 0 ? 0 : 90_000 },
  })
  const { url } = await knit.start()

  function existing(): Keys {
    const keys = new Keys(['jobs', 'applications', 'job-postings', 'interviews', 'offers'])
    // Knit shows a job that is closed as one that is gone.
    for (const job of recordsOf(company, 'jobs').filter(isActiveJob)) {
      keys.add('jobs', job.remoteId)
      for (const { remoteId } of foundIn(company, 'job_postings', company.children('job_postings', job.id)))
        keys.add('job-postings', job.remoteId, remoteId)
      for (const { remoteId } of foundIn(company, 'application_stages', job.links.stages))
        keys.add('job-stages', job.remoteId, remoteId)
      for (const { user, roles } of job.links.team ?? []) {
        const isShown = foundIn(company, 'roles', roles).some(({ fields }) =>
          SHOWN_ROLES.has(fields.unified_type ?? ''),
        )
        for (const { remoteId } of isShown ? foundIn(company, 'users', [user]) : [])
          keys.add('job-hiring-team', job.remoteId, remoteId)
      }
    }
    for (const application of recordsOf(company, 'applications')) {
      keys.add('applications', application.remoteId)
      for (const { remoteId } of foundIn(company, 'offers', company.children('offers', application.id)))
        keys.add('offers', remoteId)
      for (const interview of foundIn(company, 'interviews', company.children('interviews', application.id))) {
        keys.add('interviews', interview.remoteId)
        for (const { remoteId } of foundIn(company, 'users', interview.links.users))
          keys.add('interview-users', interview.remoteId, remoteId)
      }
    }
    return keys
  }

  const provider: SimulatedProvider = {
    ...{ name: 'knit', integration: INTEGRATION, connector, world, company },
    get open() {
      return knit.open
    },
    options: { base_url: url, api_key: API_KEY, integrations: [INTEGRATION] },
    answersOfRun: 2,
    onMutation: () => undefined,
    existing: () => existing().all,
    isUnlisted: () => false,
    spoil: (random) => {
      const kind = random.pick(FAULTS)
      const count = 1 + random.int(random.chance(0.3) ? 12 : 4)
      const dataType = random.chance(0.5) ? { dataType: random.pick(['ats_jobs', 'ats_applications']) } : {}
      knit.faults.add({ kind, count, ...dataType, attempts: 1 + random.int(9), retryAfterSeconds: 1 + random.int(20) })
      return `${count} × ${kind}`
    },
    mend: () => knit.faults.clear(),
    stir: (random) => {
      const dataType = random.pick(['ats_jobs', 'ats_applications'] as const)
      const syncType = random.chance(0.3) ? 'initial_sync' : 'delta_sync'
      const run = knit.run(INTEGRATION, dataType, syncType)
      return run ? `Knit began ${run.syncRunId}, ${syncType} of ${dataType}` : `Knit reads ${dataType} already`
    },
    catchUp: () => undefined,
    setWebhookTarget: (target) => knit.setWebhookTarget(target),
    settled: () => knit.settled(),
    readAll: () => readInitialRun(provider, clock),
    stop: () => knit.stop(),
  }
  return provider
}

const SHOWN_ROLES: ReadonlySet<string> = new Set(['HIRING_MANAGER', 'RECRUITER'])

/** All events of an initial run of another Knit in front of the same company, which has no memory of what it showed. */
async function readInitialRun({ company, options }: SimulatedProvider, clock: SimClock): Promise<readonly Mapped[]> {
  const knit = createKnitSimulator({ clock, apiKey: API_KEY, accounts: [{ company }] })
  const receiver = await startReceiver()
  const { url } = await knit.start()
  knit.setWebhookTarget(receiver.url)
  const source = connector.create(connector.parseOptions({ ...options, base_url: url }), {
    clock,
    random: seededRandom(1),
  })
  const { signal } = new AbortController()
  const read = async (): Promise<void> => {
    for (const stream of source.streams)
      for await (const _page of source.fetch({ integrationId: INTEGRATION, stream, signal })) await knit.settled()
  }
  try {
    await during(clock, read())
    const requests = receiver.received.map(({ headers, raw }) => ({ headers, query: {}, rawBody: raw }))
    const effects = requests.flatMap((request) => source.readWebhook(request).effects)
    return checked(effects.flatMap((effect) => (effect.kind === 'records' ? [effect.mapped] : [])))
  } finally {
    await source.close()
    await knit.stop()
    await receiver.close()
  }
}
