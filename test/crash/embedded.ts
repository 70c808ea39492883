import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom, systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { openEmbedded } from '@tidemark/log-embedded'
import { createSandbox, type Sandbox } from '@tidemark/sandbox'
import { freePort, runTidemark, startTidemark } from '../harness/tidemark.ts'
import { type CheckResult, checkExactlyOnce } from './checker.ts'
import { API_KEY, caughtUp, checkWebhooks, compareWithProvider, type WebhookCheck } from './provider.ts'

export interface CrashOptions {
  readonly kills: number
  readonly seed: number
  /** Longest life of a process before it is killed, in ms. */
  readonly lifeMs?: number
  readonly print: (line: string) => void
}

export interface CrashResult extends CheckResult, WebhookCheck {
  readonly kills: number
  /** Records of the provider that the tables do not show as they are. */
  readonly recordsWrong: readonly string[]
  readonly verifyExitCode: number | null
}

const PARTITIONS = 4

/**
 * SIGKILLs the whole process at random moments while a simulated company lives, restarts it each time, lets it come to rest, and
 * checks: every change the observations demand is there once and in order, every acknowledged webhook is stored, the tables
 * show what the provider has, and `verify` holds.
 */
export async function crashEmbedded({ kills, seed, lifeMs = 2_500, print }: CrashOptions): Promise<CrashResult> {
  const random = seededRandom(seed)
  const data = mkdtempSync(join(tmpdir(), 'tidemark-crash-'))
  const port = await freePort()
  const sandbox = createSandbox({
    seed,
    sizes: { jobs: 30, candidates: 200, applications: 500 },
    initial: 'synced',
    rateLimit: null,
    webhooks: { debounceMs: 100, retries: 2, retryMs: 200, timeoutMs: 2_000 },
    webhookTarget: `http://127.0.0.1:${port}/webhooks/kombo`,
  })
  const config = join(data, 'config.yaml')
  try {
    const { url } = await sandbox.start()
    const source = {
      name: 'kombo',
      connector: 'kombo',
      base_url: url,
      api_key: sandbox.apiKey,
      webhook_secret: sandbox.webhookSecret,
      integrations: sandbox.integrations,
    }
    writeFileSync(
      config,
      JSON.stringify({
        partitions: PARTITIONS,
        sources: [source],
        api_keys: [{ name: 'test', key: API_KEY, write: true }],
        // The test asks as fast as it can.
        api: { rate_limit: false },
      }),
    )
    sandbox.startActivity(1_500)
    for (let kill = 1; kill <= kills; kill++) {
      const tidemark = startTidemark({ data, port, config })
      // From before it is ready to well into its work: recovery is killed too.
      if (random.chance(0.75)) await tidemark.ready()
      await systemClock.sleep(random.next() * lifeMs)
      await tidemark.kill()
      if (kill % 10 === 0 || kill === kills) print(`${kill} of ${kills} kills`)
    }
    return await settleAndCheck(sandbox, { data, port, config, kills, providerUrl: url })
  } finally {
    await sandbox.stop()
    rmSync(data, { recursive: true, force: true })
  }
}

interface Settle {
  readonly data: string
  readonly port: number
  readonly config: string
  readonly kills: number
  readonly providerUrl: string
}

async function settleAndCheck(
  sandbox: Sandbox,
  { data, port, config, kills, providerUrl }: Settle,
): Promise<CrashResult> {
  const tidemark = startTidemark({ data, port, config })
  await tidemark.ready()
  sandbox.stopActivity()
  await sandbox.settled()
  for (const id of sandbox.integrations) sandbox.syncNow(id)
  const sync = await runTidemark(['sync', '--full', '--config', config, '--port', String(port), '--key', API_KEY])
  if (sync.code !== 0) throw new Error(`sync --full failed:\n${sync.stderr}\n${tidemark.stderr()}`)
  await caughtUp(port)
  const recordsWrong = await compareWithProvider(sandbox, port, providerUrl)
  if ((await tidemark.stop()) !== 0) throw new Error(`tidemark did not end in order:\n${tidemark.stderr()}`)
  const verified = await runTidemark(['verify', '--config', config, '--data', data])
  const embedded = await openEmbedded({ path: join(data, 'log'), clock: systemClock })
  try {
    const codec = await openCodec(embedded.registry)
    const result = await checkExactlyOnce(embedded.log, codec, PARTITIONS)
    const webhooks = await checkWebhooks(sandbox, embedded.log, codec, PARTITIONS)
    if (verified.code !== 0) throw new Error(`verify failed:\n${verified.stdout}\n${verified.stderr}`)
    return {
      ...result,
      kills,
      recordsWrong,
      ...webhooks,
      verifyExitCode: verified.code,
    }
  } finally {
    await embedded.close()
  }
}
