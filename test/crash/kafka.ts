import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Random, seededRandom, systemClock, within } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { openKafka, openRegistry } from '@tidemark/log-kafka'
import { createSandbox, type Sandbox } from '@tidemark/sandbox'
import type { LocalKafka } from '../../infra/kafka.ts'
import { createTestDatabase, type TestDatabase } from '../harness/postgres.ts'
import { freePort, runTidemark, startTidemark, type TidemarkProcess } from '../harness/tidemark.ts'
import { checkExactlyOnce } from './checker.ts'
import type { CrashResult } from './embedded.ts'
import { API_KEY, caughtUp, checkWebhooks, compareWithProvider } from './provider.ts'

export interface KafkaCrashOptions {
  readonly kills: number
  readonly seed: number
  /** Longest pause between two kills, in ms. */
  readonly pauseMs?: number
  /** Three nodes with a registry, of this test's own. */
  readonly cluster: LocalKafka
  /** A server where a database can be created. */
  readonly postgresUrl: string
  readonly print: (line: string) => void
}

export interface KafkaCrashResult extends CrashResult {
  /** How often each was killed. */
  readonly killed: Readonly<Record<string, number>>
}

const PARTITIONS = 6
const REST_EVERY = 50
/** Edits at the provider. */
const ACTIVITY_PER_MINUTE = 1_500
const MEMBERS = ['ingress', 'diff-processor', 'diff-processor-2', 'projector', 'api'] as const
type Member = (typeof MEMBERS)[number]
const serviceOf = (member: Member): string => member.replace(/-2$/, '')

/**
 * SIGKILLs ingress, either of two processors, the projector and the brokers, and ends the sessions of PostgreSQL, at random moments
 * while a simulated company lives; brings each back, lets all come to rest, and checks: every change the observations demand is there
 * once and in order, every acknowledged webhook is stored, the tables show what the provider has, and `verify` holds.
 */
export async function crashKafka(options: KafkaCrashOptions): Promise<KafkaCrashResult> {
  const { kills, seed, cluster, print } = options
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-crash-'))
  const database = await createTestDatabase(options.postgresUrl)
  const ports = new Map<Member, number>()
  for (const member of MEMBERS) ports.set(member, await freePort())
  const sandbox = createSandbox({
    seed,
    sizes: { jobs: 30, candidates: 200, applications: 500 },
    initial: 'synced',
    rateLimit: null,
    webhooks: { debounceMs: 100, retries: 2, retryMs: 200, timeoutMs: 5_000 },
    webhookTarget: `http://127.0.0.1:${ports.get('ingress')}/webhooks/kombo`,
  })
  const scene = new Scene({ folder, database, ports, sandbox, cluster })
  try {
    const { url } = await sandbox.start()
    scene.configure(url)
    for (const member of MEMBERS) scene.start(member)
    await soon('the services start', Promise.all(MEMBERS.map((member) => scene.ready(member))))
    sandbox.startActivity(ACTIVITY_PER_MINUTE)
    const random = seededRandom(seed)
    for (let kill = 1; kill <= kills; kill++) {
      await systemClock.sleep(random.next() * (options.pauseMs ?? 2_500))
      await soon(`kill ${kill} is done`, scene.killOne(random))
      // Now and then everything must come to rest by itself: what is stuck would else be hidden by the next kill.
      if (kill % REST_EVERY === 0) await scene.rest()
      if (kill % 10 === 0 || kill === kills) print(`${kill} of ${kills} kills: ${describe(scene.killed)}`)
    }
    return await scene.settleAndCheck(kills, url)
  } finally {
    await scene.end()
    await sandbox.stop()
    await database.drop()
    rmSync(folder, { recursive: true, force: true })
  }
}

const STEP_MS = 180_000

/** Names what was waited for when it does not come. */
const soon = <T>(what: string, work: Promise<T>, details: () => string = () => ''): Promise<T> =>
  within(systemClock, STEP_MS, work, () => new Error(`${what}: not within ${STEP_MS / 1000} s\n${details()}`))

export const describe = (killed: Readonly<Record<string, number>>): string =>
  Object.entries(killed)
    .map(([name, times]) => `${name} ${times}`)
    .join(', ')

interface SceneParts {
  readonly folder: string
  readonly database: TestDatabase
  readonly ports: ReadonlyMap<Member, number>
  readonly sandbox: Sandbox
  readonly cluster: LocalKafka
}

class Scene {
  readonly killed: Record<string, number> = {}
  readonly #parts: SceneParts
  readonly #config: string
  readonly #running = new Map<Member, TidemarkProcess>()
  /** Brokers that are on their way back. */
  readonly #returning = new Map<number, Promise<void>>()

  constructor(parts: SceneParts) {
    this.#parts = parts
    this.#config = join(parts.folder, 'config.yaml')
  }

  configure(providerUrl: string): void {
    const { cluster, database, sandbox } = this.#parts
    const source = {
      name: 'kombo',
      connector: 'kombo',
      base_url: providerUrl,
      api_key: sandbox.apiKey,
      webhook_secret: sandbox.webhookSecret,
      integrations: sandbox.integrations,
    }
    const config = {
      mode: 'kafka',
      kafka: { brokers: cluster.brokers, registry: cluster.registryUrl },
      postgres: database.url,
      partitions: PARTITIONS,
      sources: [source],
      api_keys: [{ name: 'test', key: API_KEY, write: true }],
      // The test asks as fast as it can.
      api: { rate_limit: false },
    }
    writeFileSync(this.#config, JSON.stringify(config))
  }

  #portOf(member: Member): number {
    return this.#parts.ports.get(member) as number
  }

  start(member: Member): void {
    const data = join(this.#parts.folder, member)
    const options = { data, port: this.#portOf(member), config: this.#config, service: serviceOf(member) }
    this.#running.set(member, startTidemark(options))
  }

  async ready(member: Member): Promise<void> {
    await this.#running.get(member)?.ready()
  }

  /** One victim, at random; services come back at once, brokers after a while. */
  async killOne(random: Random): Promise<void> {
    const draw = random.next()
    if (draw < 0.15) return await this.#killBroker(Math.floor(random.next() * 3), 500 + random.next() * 3000)
    if (draw < 0.25) return await this.#endSessions()
    const member = (['ingress', 'diff-processor', 'diff-processor-2', 'projector'] as const)[
      Math.floor(random.next() * 4)
    ] as Member
    this.#count(member)
    await this.#running.get(member)?.kill()
    this.start(member)
  }

  async #killBroker(node: number, downMs: number): Promise<void> {
    // One at a time: with two of three away nothing can be written, and less would be tested.
    await Promise.all(this.#returning.values())
    this.#count(`broker ${node + 1}`)
    await this.#parts.cluster.kill(node)
    const back = systemClock
      .sleep(downMs)
      .then(() => this.#parts.cluster.restart(node))
      .finally(() => this.#returning.delete(node))
    back.catch(() => undefined)
    this.#returning.set(node, back)
  }

  async #endSessions(): Promise<void> {
    this.#count('PostgreSQL sessions')
    const sql = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1'
    await this.#parts.database.admin(sql, [this.#parts.database.name])
  }

  #count(name: string): void {
    this.killed[name] = (this.killed[name] ?? 0) + 1
  }

  /** Brings everything back, and waits until what the provider said by then is in the tables. */
  async rest(): Promise<void> {
    const { sandbox } = this.#parts
    await soon('the brokers are back', Promise.all(this.#returning.values()))
    await soon('the services are ready', Promise.all(MEMBERS.map((member) => this.ready(member))), () => this.#stderr())
    sandbox.stopActivity()
    await soon('the webhooks are delivered', sandbox.settled())
    await caughtUp(this.#portOf('api')).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.#stderr()}`)
    })
    sandbox.startActivity(ACTIVITY_PER_MINUTE)
  }

  async settleAndCheck(kills: number, providerUrl: string): Promise<KafkaCrashResult> {
    const { sandbox, cluster } = this.#parts
    await this.rest()
    sandbox.stopActivity()
    await soon('the webhooks are delivered', sandbox.settled())
    for (const id of sandbox.integrations) sandbox.syncNow(id)
    const api = this.#portOf('api')
    const sync = await soon(
      'everything is synced',
      runTidemark(['sync', '--full', '--port', String(api), '--key', API_KEY]),
      () => this.#stderr(),
    )
    if (sync.code !== 0) throw new Error(`sync --full failed:\n${sync.stderr}\n${this.#stderr()}`)
    await caughtUp(api)
    const recordsWrong = await compareWithProvider(sandbox, api, providerUrl)
    await soon('the services stop', this.#stopAll())
    const verified = await runTidemark(['verify', '--config', this.#config, '--data', join(this.#parts.folder, 'v')])
    const kafka = await openKafka({
      brokers: cluster.brokers,
      clientId: 'checker',
      stateDir: join(this.#parts.folder, 'checker'),
      clock: systemClock,
    })
    try {
      const codec = await openCodec(openRegistry({ url: cluster.registryUrl as string, clientId: 'checker' }))
      const result = await checkExactlyOnce(kafka.log, codec, PARTITIONS)
      const webhooks = await checkWebhooks(sandbox, kafka.log, codec, PARTITIONS)
      if (verified.code !== 0) throw new Error(`verify failed:\n${verified.stdout}\n${verified.stderr}`)
      const { killed } = this
      return { ...result, ...webhooks, kills, killed, recordsWrong, verifyExitCode: verified.code }
    } finally {
      await kafka.close()
    }
  }

  async #stopAll(): Promise<void> {
    const codes = await Promise.all([...this.#running.values()].map((process) => process.stop()))
    if (codes.some((code) => code !== 0))
      throw new Error(`a service did not end in order (${codes}):\n${this.#stderr()}`)
  }

  #stderr(): string {
    return [...this.#running].map(([member, process]) => `== ${member}\n${process.stderr().slice(-4000)}`).join('\n')
  }

  async end(): Promise<void> {
    await Promise.all([...this.#running.values()].map((process) => process.kill()))
    await Promise.allSettled(this.#returning.values())
  }
}
