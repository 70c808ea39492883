import { connector } from '@tidemark/connector-hrworks'
import { World } from '@tidemark/sandbox'
import { createHrworksSimulator } from '@tidemark/sandbox/hrworks'
import { applicantUuid, personUuid, postUuid, shortId } from '../../packages/sandbox/src/hrworks/ids.ts'
import { spoilHttp } from './httpFaults.ts'
import { foundIn, Keys, recordsOf } from './keys.ts'
import type { SimulatedProvider, StartProvider } from './provider.ts'
import { readStreams } from './reading.ts'

const INTEGRATION = 'hrworks:acme'
/** Applicants and applications take several pages of 50. */
const SIZES = { jobs: 9, candidates: 110, applications: 130 }
const RESOURCES = ['persons', 'master-data', 'organization-units', 'posts', 'applicants', 'job-applications'] as const

/** A tenant of HR WORKS. */
export const startHrworks: StartProvider = async ({ clock, seed }) => {
  const world = new World({
    seed,
    now: () => clock.now(),
    onMutation: (mutation) => {
      simulator.observe(mutation)
      provider.onMutation(mutation)
    },
  })
  const company = world.found(SIZES, 'hrworks', INTEGRATION)
  const simulator = createHrworksSimulator({ company, clock, requestsPerMinute: null })
  const url = await simulator.start()
  /** Candidates by their uuid, for those that are not listed. */
  const hasApplication = (uuid: string): boolean =>
    recordsOf(company, 'candidates').some(
      ({ id }) => applicantUuid(id) === uuid && company.children('applications', id).length > 0,
    )

  function existing(): Keys {
    const keys = new Keys(['jobs', 'candidates', 'applications', 'users'])
    for (const user of recordsOf(company, 'users')) keys.add('users', personUuid(user))
    for (const { id } of recordsOf(company, 'candidates')) keys.add('candidates', applicantUuid(id))
    for (const application of recordsOf(company, 'applications')) keys.add('applications', shortId(application))
    for (const job of recordsOf(company, 'jobs')) {
      const offers = foundIn(company, 'job_postings', company.children('job_postings', job.id))
      if (offers.length === 0) keys.add('jobs', postUuid(job))
      for (const offer of offers) keys.add('jobs', shortId(offer))
    }
    return keys
  }

  const provider: SimulatedProvider = {
    ...{ name: 'hrworks', integration: INTEGRATION, connector, world, company, open: 0 },
    options: {
      ...{ integration: INTEGRATION, base_url: url },
      ...{ access_key: simulator.accessKey, secret_access_key: simulator.secretAccessKey },
    },
    answersOfRun: 15,
    onMutation: () => undefined,
    existing: () => existing().all,
    // Whoever has no application is not listed, and found by its own route all the same (README, Deletion).
    isUnlisted: (model, key) => model === 'candidates' && !hasApplication(key),
    spoil: (random) => {
      if (random.chance(0.75)) return spoilHttp(simulator.faults, random)
      const [what, spoil] = random.pick([
        ['tokens are revoked', () => simulator.revokeTokens()],
        ['a permission is taken away', () => simulator.forbidden.add(random.pick(RESOURCES))],
        ['a webhook is badly signed', () => simulator.spoilWebhooks('wrong_signature', 1 + random.int(3))],
        ['a webhook is stale', () => simulator.spoilWebhooks('stale_timestamp', 1 + random.int(3))],
      ] as const)
      spoil()
      return what
    },
    mend: () => {
      simulator.faults.clear()
      simulator.forbidden.clear()
      simulator.spoilWebhooks('wrong_signature', 0)
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
