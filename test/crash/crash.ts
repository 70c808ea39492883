import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom, systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { openEmbedded } from '@tidemark/log-embedded'
import { RAW_TOPIC } from '@tidemark/model'
import { createSandbox, type Sandbox } from '@tidemark/sandbox'
import { freePort, runTidemark, startTidemark } from '../harness/tidemark.ts'
import { type CheckResult, checkExactlyOnce } from './checker.ts'

export interface CrashOptions {
  readonly kills: number
  readonly seed: number
  /** Longest life of a process before it is killed, in ms. */
  readonly lifeMs?: number
  readonly print: (line: string) => void
}

export interface CrashResult extends CheckResult {
  readonly kills: number
  /** Webhooks that were answered with 200 and are not in ats.raw. */
  readonly webhooksLost: number
  readonly webhooksAcknowledged: number
  /** Records of the provider that the tables do not show as they are. */
  readonly recordsWrong: readonly string[]
  readonly verifyExitCode: number | null
}

const PARTITIONS = 4
const API_KEY = 'crash-test-key-0123456789'

/**
 * SIGKILLs the whole process at random moments while a simulated company lives, restarts it each time, lets it come to rest, and
 * checks: every change the observations demand is there once and in order, every acknowledged webhook is stored, the tables
 * show what the provider has, and `verify` holds.
 */
export async function runCrashTest({ kills, seed, lifeMs = 2_500, print }: CrashOptions): Promise<CrashResult> {
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
    const stored = new Set<string>()
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { start, end } = await embedded.log.bounds(RAW_TOPIC, partition)
      for (let offset = start; offset < end; ) {
        const { records, nextOffset } = await embedded.log.fetch({ topic: RAW_TOPIC, partition, offset })
        for (const { value } of records) {
          const raw = codec.decode('Raw', value as Buffer)
          if (raw.kind === 'webhook') stored.add((JSON.parse(Buffer.from(raw.body).toString()) as { id: string }).id)
        }
        offset = nextOffset
      }
    }
    const acknowledged = sandbox.deliveries.filter((d) => d.delivered)
    const webhooksLost = acknowledged.filter((d) => !stored.has(d.id)).length
    if (verified.code !== 0) throw new Error(`verify failed:\n${verified.stdout}\n${verified.stderr}`)
    return {
      ...result,
      kills,
      recordsWrong,
      webhooksLost,
      webhooksAcknowledged: acknowledged.length,
      verifyExitCode: verified.code,
    }
  } finally {
    await embedded.close()
  }
}

interface Status {
  readonly data: {
    readonly services: Readonly<Record<string, { readonly lag?: number }>>
    readonly integrations: readonly { readonly streams: readonly { readonly state: string }[] }[]
  }
}

const get = async <T>(port: number, path: string, integration?: string): Promise<T> => {
  const headers = {
    authorization: `Bearer ${API_KEY}`,
    ...(integration === undefined ? {} : { 'x-integration-id': integration }),
  }
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as T
}

async function caughtUp(port: number): Promise<void> {
  for (let quiet = 0; quiet < 3; ) {
    const { data } = await get<Status>(port, '/v1/status')
    const lag = Object.values(data.services).reduce((sum, s) => sum + (s.lag ?? 0), 0)
    const idle = data.integrations.every((i) => i.streams.every((s) => s.state === 'IDLE'))
    quiet = lag === 0 && idle ? quiet + 1 : 0
    await systemClock.sleep(150)
  }
}

interface ListPage {
  readonly data: { readonly next: string | null; readonly results: readonly Readonly<Record<string, unknown>>[] }
}

async function listAll(
  read: (path: string) => Promise<ListPage>,
  path: string,
): Promise<Readonly<Record<string, unknown>>[]> {
  const out: Readonly<Record<string, unknown>>[] = []
  let cursor: string | null = null
  do {
    const page: ListPage = await read(
      `${path}?page_size=250${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    out.push(...page.data.results)
    cursor = page.data.next
  } while (cursor !== null)
  return out
}

/** Our answers beside the provider's, field by field; what we time ourselves is left out. Describes the first few that differ. */
async function compareWithProvider(sandbox: Sandbox, port: number, url: string): Promise<string[]> {
  const wrong: string[] = []
  for (const integration of sandbox.integrations) {
    for (const listing of ['jobs', 'candidates', 'applications']) {
      const ours = await listAll((path) => get<ListPage>(port, path, integration), `/v1/ats/${listing}`)
      const headers = { authorization: `Bearer ${sandbox.apiKey}`, 'x-integration-id': integration }
      const read = async (path: string): Promise<ListPage> => {
        const response = await fetch(`${url}${path.replace('/v1', '')}`, { headers })
        return (await response.json()) as ListPage
      }
      const theirs = await listAll(read, `/v1/ats/${listing}`)
      const byId = new Map(ours.map((record) => [record['id'], record]))
      for (const record of theirs) {
        const difference = differenceOf(byId.get(record['id']), record)
        if (difference !== undefined) wrong.push(`${listing} ${String(record['id'])} of ${integration}: ${difference}`)
        byId.delete(record['id'])
      }
      for (const id of byId.keys())
        wrong.push(`${listing} ${String(id)} of ${integration}: the provider does not have it`)
    }
  }
  return wrong
}

function differenceOf(
  ours: Readonly<Record<string, unknown>> | undefined,
  theirs: Readonly<Record<string, unknown>>,
): string | undefined {
  if (ours === undefined) return 'we do not have it'
  for (const [name, value] of Object.entries(theirs)) {
    if (IGNORED.has(name)) continue
    const [a, b] = [comparable(ours[name]), comparable(value)]
    if (a !== b) return `${name} is ${a.slice(0, 200)}, the provider has ${b.slice(0, 200)}`
  }
  return undefined
}

/** Times of our own, what is not fetched, and bookkeeping: a change of remote_updated_at alone is no change, so the tables keep the older one. */
const IGNORED = new Set(['changed_at', 'remote_data', 'integration_fields', 'remote_updated_at'])

/** Nested lists of records are compared without their order, which nobody promises; lists of plain values with it. */
function comparable(value: unknown): string {
  return JSON.stringify(sorted(value))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(sorted)
    const isRecords = value.some(
      (item) => typeof item === 'object' && item !== null && ('id' in item || 'question' in item),
    )
    return isRecords ? items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : items
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([name]) => !IGNORED.has(name))
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => [name, sorted(member)]),
  )
}
