import { connector } from '@tidemark/connector-kombo'
import type { ModelName } from '@tidemark/model'
import { createSandbox, type Mutation } from '@tidemark/sandbox'
import { spoilHttp } from './httpFaults.ts'
import { foundIn, Keys, recordsOf } from './keys.ts'
import type { Existing, SimulatedProvider, StartProvider } from './provider.ts'
import { readStreams } from './reading.ts'

/** Applications take more than one page, so that a listing may shift. */
const SIZES = { jobs: 8, candidates: 90, applications: 255 }

/** The sandbox's Kombo in front of one company. */
export const startKombo: StartProvider = async ({ clock, seed }) => {
  /** What is gone, and Kombo has not noticed. */
  let unnoticed = new Keys()
  let before: Existing = new Map()
  const noticed = (mutation: Mutation): void => {
    const now = present().all
    if (mutation.announced) unnoticed.dropMentions(mutation.deleted.map(({ id }) => id))
    else
      for (const [model, keys] of before)
        for (const key of keys) if (!now.get(model)?.has(key)) unnoticed.addKey(model, key)
    // What came back is known to be there.
    for (const [model, keys] of now) for (const key of keys) unnoticed.all.get(model)?.delete(key)
    before = now
    provider.onMutation(mutation)
  }
  const sandbox = createSandbox({
    ...{ clock, seed, integrations: 1, sizes: SIZES, upstream: 'all', onMutation: noticed },
    sync: { fullIntervalMs: null, deltaIntervalMs: null },
    listing: { ordering: seed % 2 === 0 ? 'stable' : 'numbered' },
  })
  const [integration = ''] = sandbox.integrations
  const company = sandbox.world.company(integration)
  const { url } = await sandbox.start()

  function present(): Keys {
    const keys = new Keys()
    for (const [model, name] of ENTITIES) for (const { id } of recordsOf(company, model)) keys.add(name, id)
    for (const job of recordsOf(company, 'jobs')) {
      for (const id of company.children('job_postings', job.id)) keys.add('job-postings', job.id, id)
      for (const { id } of foundIn(company, 'application_stages', job.links.stages)) keys.add('job-stages', job.id, id)
      for (const { user, roles } of job.links.team ?? []) {
        keys.add('job-hiring-team', job.id, user)
        for (const { remoteId } of foundIn(company, 'roles', roles))
          keys.add('job-role-assignments', job.id, user, remoteId)
      }
      // Questions are shown inside of jobs only.
      for (const { id } of foundIn(company, 'screening_questions', job.links.questions)) {
        keys.add('screening-questions', id)
        keys.add('job-screening-questions', job.id, id)
      }
    }
    for (const { id, links } of recordsOf(company, 'candidates'))
      for (const tag of foundIn(company, 'tags', links.tags)) keys.add('candidate-tags', id, tag.id)
    for (const { id, links } of recordsOf(company, 'interviews'))
      for (const user of foundIn(company, 'users', links.users)) keys.add('interview-users', id, user.id)
    for (const { id, links } of recordsOf(company, 'users'))
      for (const { remoteId } of foundIn(company, 'roles', links.roles)) keys.add('user-roles', id, remoteId)
    return keys
  }

  /** A run between Kombo and the tool; one that fails notices nothing. */
  function sync(type: 'FULL' | 'DELTA'): void {
    const failures = sandbox.faults.fired.sync_failed ?? 0
    sandbox.syncNow(integration, type)
    if (type === 'FULL' && (sandbox.faults.fired.sync_failed ?? 0) === failures) unnoticed = new Keys()
  }

  const provider: SimulatedProvider = {
    ...{ name: 'kombo', integration, connector, world: sandbox.world, company, open: 0 },
    options: {
      ...{ base_url: url, api_key: sandbox.apiKey, webhook_secret: sandbox.webhookSecret },
      integrations: [integration],
    },
    answersOfRun: 13,
    onMutation: () => undefined,
    existing: () => present().with(unnoticed).all,
    isUnlisted: () => false,
    // Those of deleted jobs, which are listed for some weeks.
    showsMoreOf: 'screening-questions',
    spoil: (random) => {
      if (random.chance(0.85)) return spoilHttp(sandbox.faults, random)
      const syncState = random.pick(['FAILED', 'PARTIALLY_FAILED', 'TIMED_OUT', 'AUTHENTICATION_FAILED'] as const)
      sandbox.faults.add({ kind: 'sync_failed', syncState })
      return `the next run between Kombo and the tool ends ${syncState}`
    },
    mend: () => sandbox.faults.clear(),
    stir: (random) => {
      const type = random.chance(0.5) ? 'FULL' : 'DELTA'
      sync(type)
      return `a ${type} run between Kombo and the tool`
    },
    catchUp: () => sync('FULL'),
    setWebhookTarget: (target) => sandbox.setWebhookTarget(target),
    settled: () => sandbox.settled(),
    readAll: () => readStreams(provider, clock),
    stop: () => sandbox.stop(),
  }
  before = present().all
  return provider
}

const ENTITIES = [
  ...[['jobs', 'jobs'] as const, ['candidates', 'candidates'] as const, ['applications', 'applications'] as const],
  ...[['application_stages', 'application-stages'] as const, ['interviews', 'interviews'] as const],
  ...[['offers', 'offers'] as const, ['rejection_reasons', 'rejection-reasons'] as const, ['tags', 'tags'] as const],
  ...[['users', 'users'] as const, ['roles', 'roles'] as const, ['notes', 'notes'] as const],
] satisfies readonly (readonly [string, ModelName])[]
