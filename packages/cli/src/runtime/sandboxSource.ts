import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, TidemarkError } from '@tidemark/base'
import { createSandbox, type Sandbox } from '@tidemark/sandbox'
import type { Logger } from '@tidemark/telemetry'
import type { Config } from '../config.ts'
import { FRONTS, type SandboxFront, type SimulatedConfig } from './sandboxFronts.ts'
import { webhookUrl } from './subscriptions.ts'

export interface SandboxSource {
  readonly sandbox: Sandbox
  /** The sources that read it, as a configuration file would say them. */
  readonly configs: readonly SimulatedConfig[]
  /** A line for each of them, for people. */
  readonly described: readonly string[]
  readonly origin: string
  /** Where tidemark takes webhooks; those that their providers register for themselves are not told. */
  setWebhookTargets(publicUrl: string): void
  stop(): Promise<void>
}

/** What makes the same company again: the data directory must meet the company it knows. */
interface Origin {
  readonly seed: number
  readonly startedAtMs: number
}

/** Kombo's window is 30 s; a newcomer should not have to wait that long for the second change. */
const DEBOUNCE_MS = 3_000
const ACTIONS_PER_MINUTE = 40
const FIRST_SYNC_MS = 2_000

/** Starts the simulated ATS behind a simulated Kombo. A data directory that was used before meets its company again, grown older. */
export async function startSandbox(
  config: Config,
  deps: { readonly clock: Clock; readonly logger: Logger },
): Promise<SandboxSource> {
  const options = config.sandbox
  const fresh = !existsSync(fileOf(config))
  const origin = readOrigin(config, deps.clock, options.seed ?? 1)
  const observers: SandboxFront['observe'][] = []
  const sandbox = createSandbox({
    seed: origin.seed,
    clock: deps.clock,
    foundedAtMs: origin.startedAtMs,
    initial: fresh ? 'connecting' : 'synced',
    actionsPerMinute: options.actions_per_minute ?? ACTIONS_PER_MINUTE,
    sizes: {
      ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
      ...(options.candidates === undefined ? {} : { candidates: options.candidates }),
      ...(options.applications === undefined ? {} : { applications: options.applications }),
    },
    sync: { firstMs: options.first_sync_ms ?? FIRST_SYNC_MS },
    webhooks: { debounceMs: options.debounce_ms ?? DEBOUNCE_MS },
    // The contract's 300 a minute would make a newcomer wait; tests of the limit set it.
    rateLimit: null,
    onError: (error) => deps.logger.warn({ err: error }, 'sandbox'),
    onMutation: (mutation) => {
      for (const observe of observers) observe(mutation)
    },
  })
  const { url, origin: address } = await sandbox.start()
  const kinds = options.providers ?? ['kombo']
  const fronts = await Promise.all(
    kinds.filter((kind) => kind !== 'kombo').map((kind) => FRONTS[kind](sandbox, deps.clock, fresh)),
  )
  observers.push(...fronts.map(({ observe }) => observe))
  const kombo = {
    ...{ name: 'sandbox', connector: 'kombo', base_url: url, api_key: sandbox.apiKey },
    ...{ webhook_secret: sandbox.webhookSecret, integrations: [...sandbox.integrations] },
  }
  const customers = `${sandbox.integrations.length} customers`
  return {
    sandbox,
    origin: address,
    configs: [...(kinds.includes('kombo') ? [kombo] : []), ...fronts.map(({ config }) => config)],
    described: [
      ...(kinds.includes('kombo') ? [`a simulated ATS with ${customers} answers as Kombo at ${url}`] : []),
      ...fronts.map(({ described }) => described),
    ],
    setWebhookTargets(publicUrl) {
      if (kinds.includes('kombo')) sandbox.setWebhookTarget(webhookUrl(publicUrl, kombo.name))
      for (const { config, setWebhookTarget } of fronts) setWebhookTarget(webhookUrl(publicUrl, config.name))
    },
    async stop() {
      await Promise.all(fronts.map((front) => front.stop()))
      await sandbox.stop()
    },
  }
}

const fileOf = (config: Config): string => join(config.data, 'sandbox.json')

function readOrigin(config: Config, clock: Clock, seed: number): Origin {
  const file = fileOf(config)
  if (!existsSync(file)) {
    const origin = { seed, startedAtMs: clock.now() }
    writeFileSync(file, `${JSON.stringify(origin)}\n`)
    return origin
  }
  try {
    const { seed: known, startedAtMs } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Origin>
    if (typeof known === 'number' && typeof startedAtMs === 'number') return { seed: known, startedAtMs }
    throw new RangeError('seed or startedAtMs is missing')
  } catch (error) {
    throw new TidemarkError(
      'DATA_DIRECTORY_CORRUPT',
      `${file} cannot be read (${(error as Error).message}); use another data directory, or delete this one`,
      { cause: error },
    )
  }
}
