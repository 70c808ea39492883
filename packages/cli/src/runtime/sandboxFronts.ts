import type { Clock } from '@tidemark/base'
import type { Company, Mutation, Sandbox } from '@tidemark/sandbox'
import { createHrworksSimulator } from '@tidemark/sandbox/hrworks'
import { createKnitSimulator } from '@tidemark/sandbox/knit'
import { createTraffitSimulator } from '@tidemark/sandbox/traffit'
import type { SandboxKind, SourceConfig } from '../config.ts'

/** A source, as a configuration file would say it. */
export type SimulatedConfig = SourceConfig & Readonly<Record<string, unknown>>

/** The simulated company behind another API than Kombo's. */
export interface SandboxFront {
  readonly config: SimulatedConfig
  readonly described: string
  /** Something happened in the company. */
  observe(mutation: Mutation): void
  setWebhookTarget(url: string): void
  stop(): Promise<void>
}

/** Nobody outside this machine reaches the simulators. */
const WEBHOOK_SECRET = 'sandbox-webhook-secret'

/** Seconds in which something changes often: a newcomer should not wait for a day's delta. */
const KNIT_PERIOD_MS = 60_000

/** All of them show the first company, so that what one says can be compared with what another says. */
const companyOf = (sandbox: Sandbox): Company => sandbox.world.company(sandbox.integrations[0] as string)

async function traffit(sandbox: Sandbox, clock: Clock): Promise<SandboxFront> {
  const company = companyOf(sandbox)
  const simulator = createTraffitSimulator({ company, clock, rateLimit: null })
  const { origin } = await simulator.start()
  return {
    config: {
      ...{ name: 'traffit', connector: 'traffit', base_url: origin, integration: 'traffit:sandbox' },
      ...{ client_id: simulator.clientId, client_secret: simulator.clientSecret, webhook_secret: WEBHOOK_SECRET },
      // A newcomer should not wait for tags, which cost a request a candidate.
      requests_per_second: 1000,
    },
    described: `the same company answers as TRAFFIT at ${origin}`,
    observe: (mutation) => simulator.onMutation(mutation),
    // Its webhooks are registered by whoever reads it.
    setWebhookTarget: () => undefined,
    stop: () => simulator.stop(),
  }
}

async function hrworks(sandbox: Sandbox, clock: Clock): Promise<SandboxFront> {
  const simulator = createHrworksSimulator({ company: companyOf(sandbox), clock, requestsPerMinute: null })
  const url = await simulator.start()
  return {
    config: {
      ...{ name: 'hrworks', connector: 'hrworks', base_url: url, integration: 'hrworks:sandbox' },
      ...{ access_key: simulator.accessKey, secret_access_key: simulator.secretAccessKey },
    },
    described: `the same company answers as HR WORKS at ${url}`,
    observe: (mutation) => simulator.observe(mutation),
    setWebhookTarget: () => undefined,
    stop: () => simulator.stop(),
  }
}

async function knit(sandbox: Sandbox, clock: Clock, fresh: boolean): Promise<SandboxFront> {
  const periods = { standard: KNIT_PERIOD_MS, medium: KNIT_PERIOD_MS, high: KNIT_PERIOD_MS }
  const accounts = [{ company: companyOf(sandbox), integrationId: 'knit:sandbox' }]
  const simulator = createKnitSimulator({ accounts, clock, periods })
  const { url } = await simulator.start()
  return {
    config: {
      ...{ name: 'knit', connector: 'knit', base_url: url, api_key: simulator.apiKey },
      integrations: [...simulator.integrations],
    },
    described: `the same company is pushed as by Knit, which is told to at ${url}`,
    // Its runs look for themselves.
    observe: () => undefined,
    setWebhookTarget(target) {
      simulator.setWebhookTarget(target)
      // A real Knit remembers its syncs; this one is new, and whoever was here before does not ask for them again.
      if (!fresh)
        for (const type of ['ats_jobs', 'ats_applications'] as const)
          simulator.run('knit:sandbox', type, 'initial_sync')
    },
    stop: () => simulator.stop(),
  }
}

/** How each of them is started; `fresh`: nobody has read the company before. */
export const FRONTS: Readonly<
  Record<Exclude<SandboxKind, 'kombo'>, (sandbox: Sandbox, clock: Clock, fresh: boolean) => Promise<SandboxFront>>
> = { traffit, hrworks, knit }
