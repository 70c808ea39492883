import { connector } from '@tidemark/connector-traffit'
import { World } from '@tidemark/sandbox'
import { createTraffitSimulator } from '@tidemark/sandbox/traffit'
import { publishedRow } from '../../packages/sandbox/src/traffit/native.ts'
import { statesOf, workflowsOf } from '../../packages/sandbox/src/traffit/workflows.ts'
import { spoilHttp } from './httpFaults.ts'
import { foundIn, Keys, recordsOf } from './keys.ts'
import type { SimulatedProvider, StartProvider } from './provider.ts'
import { readStreams } from './reading.ts'

const INTEGRATION = 'traffit:shire'
const WEBHOOK_SECRET = 'the-secret-of-webhooks'
/** Candidates and applications take more than one page. */
const SIZES = { jobs: 7, candidates: 104, applications: 120 }
const SCOPES = ['employee', 'recruitment', 'workflow', 'user', 'source', 'dictionary', 'advert', 'webhook'] as const

/** A tenant of TRAFFIT. */
export const startTraffit: StartProvider = async ({ clock, seed }) => {
  const world = new World({
    seed,
    now: () => clock.now(),
    onMutation: (mutation) => {
      simulator.onMutation(mutation)
      provider.onMutation(mutation)
    },
  })
  const company = world.found(SIZES, 'traffit', INTEGRATION)
  const simulator = createTraffitSimulator({ company, clock, rateLimit: null, historySurvives: seed % 2 === 1 })
  const { origin } = await simulator.start()

  function existing(): Keys {
    const keys = new Keys(['job-postings', 'tags', 'candidate-tags', 'applications'])
    for (const { remoteId } of recordsOf(company, 'users')) keys.add('users', remoteId)
    for (const candidate of recordsOf(company, 'candidates')) {
      keys.add('candidates', candidate.remoteId)
      // Tags are shown on candidates only.
      for (const tag of foundIn(company, 'tags', candidate.links.tags)) {
        keys.add('tags', tag.remoteId)
        keys.add('candidate-tags', candidate.remoteId, tag.remoteId)
      }
    }
    for (const { fields } of recordsOf(company, 'applications')) {
      const { candidates, jobs } = company.tables
      const [candidate, job] = [candidates.get(fields.candidate_id), jobs.get(fields.job_id)]
      if (candidate && job) keys.add('applications', candidate.remoteId, job.remoteId)
    }
    for (const { states } of workflowsOf(company))
      for (const { id } of states) keys.add('application-stages', String(id))
    for (const job of recordsOf(company, 'jobs')) {
      keys.add('jobs', job.remoteId)
      for (const { id } of statesOf(company, job)) keys.add('job-stages', job.remoteId, String(id))
      for (const { user } of job.links.team ?? [])
        for (const { remoteId } of foundIn(company, 'users', [user]))
          keys.add('job-hiring-team', job.remoteId, remoteId)
      for (const posting of foundIn(company, 'job_postings', company.children('job_postings', job.id)))
        if (publishedRow(company, posting)) keys.add('job-postings', job.remoteId, posting.remoteId)
    }
    return keys
  }

  const provider: SimulatedProvider = {
    ...{ name: 'traffit', integration: INTEGRATION, connector, world, company, open: 0 },
    options: {
      ...{ base_url: origin, client_id: simulator.clientId, client_secret: simulator.clientSecret },
      ...{ webhook_secret: WEBHOOK_SECRET, integration: INTEGRATION, requests_per_second: 1000 },
    },
    answersOfRun: 250,
    onMutation: () => undefined,
    existing: () => existing().all,
    isUnlisted: () => false,
    spoil: (random) => {
      if (random.chance(0.7)) return spoilHttp(simulator.faults, random)
      const [what, spoil] = random.pick([
        ['tokens are revoked', () => simulator.revokeTokens()],
        ['a scope is taken away', () => simulator.setScopes(SCOPES.filter(() => random.chance(0.8)))],
        ['a page is short', () => simulator.setShortPage(1 + random.int(2))],
        ['webhooks lack their secret', () => simulator.setWebhookSecrets(random.pick(['wrong', 'missing']))],
      ] as const)
      spoil()
      return what
    },
    mend: () => {
      simulator.faults.clear()
      simulator.setScopes(SCOPES)
      simulator.setShortPage(null)
      simulator.setWebhookSecrets('right')
    },
    stir: () => {
      simulator.revokeTokens()
      return 'tokens are revoked'
    },
    catchUp: () => undefined,
    setWebhookTarget: () => undefined,
    settled: () => simulator.settled(),
    readAll: () => readStreams(provider, clock),
    stop: () => simulator.stop(),
  }
  return provider
}
