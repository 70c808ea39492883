/** One company read through Kombo and natively: the same records, up to what is listed here with its reason. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom, systemClock } from '@tidemark/base'
import { type Change, type OpenCodec, openCodec } from '@tidemark/codec'
import type { Connector } from '@tidemark/connector'
import { connector as kombo } from '@tidemark/connector-kombo'
import { connector as traffit } from '@tidemark/connector-traffit'
import { createProcessor, type Processor } from '@tidemark/diff-processor'
import { createIngress, type Ingress, type NamedSource } from '@tidemark/ingress'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import { COMMANDS_TOPIC, changesTopic, type ModelName, OBSERVED_TOPIC, partitionOf, topicPlans } from '@tidemark/model'
import { createManualClock, createSandbox, type Mutation, type Sandbox } from '@tidemark/sandbox'
import { createTraffitSimulator, type TraffitSimulator } from '@tidemark/sandbox/traffit'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import fastify, { type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const PARTITIONS = 2
const NATIVE = 'traffit:acme'
const SECRET = 'the-secret-of-webhooks'

type Fields = Readonly<Record<string, unknown>>

const clock = createManualClock()
let path: string
let sandbox: Sandbox
let simulator: TraffitSimulator
let embedded: Embedded
let codec: OpenCodec
let processor: Processor
let ingress: Ingress
let app: FastifyInstance
let throughKombo: string

const opened = (name: string, connector: Connector, options: object): NamedSource => ({
  name,
  connector,
  source: connector.create(connector.parseOptions({ ...options }), { clock, random: seededRandom(1) }),
})

beforeAll(async () => {
  path = mkdtempSync(join(tmpdir(), 'tidemark-routes-'))
  const observers: ((mutation: Mutation) => void)[] = []
  sandbox = createSandbox({
    ...{ clock, integrations: 1, sizes: { jobs: 8, candidates: 40, applications: 60 }, rateLimit: null },
    webhooks: { debounceMs: 0 },
    onMutation: (mutation) => {
      for (const observe of observers) observe(mutation)
    },
  })
  throughKombo = sandbox.integrations[0] as string
  simulator = createTraffitSimulator({ company: sandbox.world.company(throughKombo), clock, rateLimit: null })
  observers.push((mutation) => simulator.onMutation(mutation))
  const { url } = await sandbox.start()
  const { origin } = await simulator.start()
  embedded = await openEmbedded({ path, clock: systemClock })
  const { log, registry } = embedded
  await log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
  codec = await openCodec(registry)
  const base = { log, codec, random: seededRandom(1), logger: silentLogger, metrics: createMetrics() }
  processor = createProcessor({ ...base, clock: systemClock })
  processor.start()
  const sources = [
    opened('kombo', kombo, {
      ...{ base_url: url, api_key: sandbox.apiKey, webhook_secret: sandbox.webhookSecret },
      integrations: [throughKombo],
    }),
    opened('traffit', traffit, {
      ...{ base_url: origin, client_id: simulator.clientId, client_secret: simulator.clientSecret },
      ...{ webhook_secret: SECRET, integration: NATIVE },
    }),
  ]
  const state = await embedded.openState('ingress')
  ingress = createIngress({ ...base, clock, state, sources, partitions: PARTITIONS })
  app = fastify()
  ingress.registerRoutes(app)
  const own = await app.listen({ host: '127.0.0.1', port: 0 })
  sandbox.setWebhookTarget(`${own}/webhooks/kombo`)
  const subscribing = sources[1]?.source.subscriptions?.ensure({
    ...{ url: `${own}/webhooks/traffit`, signal: new AbortController().signal },
  })
  await during(Promise.all([subscribing, ingress.start()]))
  await settled()
}, 60_000)

afterAll(async () => {
  sandbox.setWebhookTarget(null)
  await simulator.stop()
  await sandbox.stop()
  await app.close()
  await ingress.stop()
  await processor.stop()
  await embedded.close()
  rmSync(path, { recursive: true })
})

/** Lets time pass while something is waited for. */
async function during(work: Promise<unknown>): Promise<void> {
  let isDone = false
  const done = work.finally(() => {
    isDone = true
  })
  while (!isDone) {
    await clock.advance(250)
    await systemClock.sleep(1)
  }
  await done
}

async function lag(): Promise<number> {
  let sum = 0
  for (const { partition, position } of processor.status())
    sum += (await embedded.log.bounds(OBSERVED_TOPIC, partition)).end - position
  return processor.status().length === PARTITIONS ? sum : 1
}

/** Nothing is wanted or in flight for a while, and everything observed was processed. */
async function settled(): Promise<void> {
  for (let still = 0, i = 0; still < 20; i++) {
    if (i > 20_000) throw new Error(`not at rest: ${JSON.stringify(ingress.status())}`)
    await clock.advance(250)
    await systemClock.sleep(2)
    const isIdle = ingress.status().every(({ streams }) => streams.every((stream) => stream.state === 'idle'))
    still = isIdle && (await lag()) === 0 ? still + 1 : 0
  }
}

/** Reads everything of both routes, and waits for what follows from it. */
async function completePass(): Promise<void> {
  const atMs = clock.now()
  const commands = [throughKombo, NATIVE].map((integration) => {
    const command = { id: `full of ${integration}`, integration_id: integration, kind: 'sync_full', at: atMs }
    const value = codec.encode('Command', { ...command, actor: null, payload: null })
    const partition = partitionOf(integration, PARTITIONS)
    return { topic: COMMANDS_TOPIC, partition, key: null, value, timestampMs: atMs }
  })
  await embedded.log.append(commands)
  await settled()
}

const cache = new Map<string, Promise<Fields[]>>()

/** The records of an integration that are there, as the changes left them. */
function liveRecords(integration: string, model: ModelName): Promise<Fields[]> {
  const key = `${integration} ${model}`
  const known = cache.get(key) ?? readRecords(integration, model)
  cache.set(key, known)
  return known
}

async function readRecords(integration: string, model: ModelName): Promise<Fields[]> {
  const records = new Map<string, Fields>()
  const topic = changesTopic(model)
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { end } = await embedded.log.bounds(topic, partition)
    for (let offset = 0; offset < end; ) {
      const { records: found, nextOffset } = await embedded.log.fetch({ topic, partition, offset })
      for (const { value } of found) apply(records, codec.decodeChange(model, value as Buffer), integration)
      offset = nextOffset
    }
  }
  return [...records.values()]
}

function apply(records: Map<string, Fields>, change: Change, integration: string): void {
  if (change.integration_id !== integration) return
  const after = change.after as unknown as Fields | null
  if (after === null || after['remote_deleted_at'] !== null) records.delete(change.id)
  else records.set(change.id, after)
}

/** A record with its references named as the ATS names them, so that both routes can say the same. */
type View = ReadonlyMap<string, Fields>

interface Compared {
  /** What Kombo covers of TRAFFIT, as far as it is not each route's own (ids, raw data, times of rows). */
  readonly fields: readonly string[]
  /** Of these, what differs all the same, and why. */
  readonly differs?: Readonly<Record<string, string>>
  /** What may differ once people have worked, and why. */
  readonly mayDiffer?: Readonly<Record<string, string>>
  /** Records that only Kombo shows, and why. */
  readonly onlyUnified?: string
  /** Records that only TRAFFIT has: its rejecting stages. */
  readonly onlyNative?: RegExp
}

const COMPARED: Readonly<Partial<Record<ModelName, Compared>>> = {
  users: { fields: ['first_name', 'email'] },
  jobs: {
    fields: [
      'name',
      'description',
      'status',
      'location',
      'confidential',
      'closed_at',
      'custom_fields',
      'integration_fields',
    ],
    differs: {
      description: 'TRAFFIT has it in the published advert only',
      location: 'TRAFFIT has it in the published advert only, with fewer parts',
      status: 'TRAFFIT knows closed, but not archived',
      closed_at: 'TRAFFIT tells seconds',
      custom_fields: 'in TRAFFIT their names begin with an underscore',
      integration_fields: 'they are fields of TRAFFIT itself',
    },
  },
  'job-postings': {
    fields: ['title', 'description_html', 'status', 'visibility', 'url', 'job'],
    onlyUnified: 'TRAFFIT shows published ones only',
  },
  candidates: {
    fields: ['first_name', 'last_name', 'source', 'email_addresses'],
    differs: { email_addresses: 'TRAFFIT has one, without a type' },
  },
  applications: {
    fields: ['outcome', 'current_stage', 'job', 'candidate'],
    differs: { current_stage: 'TRAFFIT moves a declined application into a rejecting stage' },
    mayDiffer: { outcome: 'who is moved to the last stage without being hired is hired in TRAFFIT' },
  },
  tags: { fields: ['name'], onlyUnified: 'TRAFFIT shows tags on candidates only' },
  'candidate-tags': { fields: ['candidate', 'tag'] },
  'job-stages': { fields: ['job', 'stage', 'index'], onlyNative: /\/Rejected$/ },
  'job-hiring-team': { fields: ['job', 'user'] },
}

/** Reference fields, the model they lead to, and the field by which both routes know that record. */
const REFERENCES: Readonly<Record<string, readonly [string, ModelName, string]>> = {
  job_id: ['job', 'jobs', 'remote_id'],
  candidate_id: ['candidate', 'candidates', 'remote_id'],
  user_id: ['user', 'users', 'remote_id'],
  tag_id: ['tag', 'tags', 'name'],
  // Stages are numbered by each tool on its own.
  current_stage_id: ['current_stage', 'application-stages', 'name'],
  stage_id: ['stage', 'application-stages', 'name'],
}

/** Records of a model by what names them in both routes: their id in the ATS, or what they join. */
async function viewOf(integration: string, model: ModelName): Promise<View> {
  const view = new Map<string, Fields>()
  for (const record of await liveRecords(integration, model)) {
    const named: Record<string, unknown> = { ...record }
    for (const [field, [name, to, by]] of Object.entries(REFERENCES))
      if (field in record) named[name] = (await byId(integration, to)).get(record[field])?.[by] ?? null
    // Joins of a candidate that is gone are of no interest.
    if (named['candidate'] === null) continue
    const joins = ['candidate', 'job', 'tag', 'stage', 'user'].filter((name) => name in named)
    const isJoin = joins.length > 1
    view.set(isJoin ? joins.map((name) => named[name]).join('/') : String(record['remote_id']), named)
  }
  return view
}

const byId = async (integration: string, model: ModelName): Promise<Map<unknown, Fields>> =>
  new Map((await liveRecords(integration, model)).map((record) => [record['id'], record]))

async function compare(
  model: ModelName,
  { fields, differs = {}, onlyUnified, onlyNative }: Compared,
): Promise<Set<string>> {
  const [unified, native] = [await viewOf(throughKombo, model), await viewOf(NATIVE, model)]
  expect(native.size, `${model} that were read natively`).toBeGreaterThan(0)
  const shown = [...unified.keys()].filter((key) => onlyUnified === undefined || native.has(key))
  const common = [...native.keys()].filter((key) => !onlyNative?.test(key))
  expect(common.sort(), `${model} that are there`).toEqual(shown.sort())
  const differing = new Set<string>()
  for (const field of fields)
    for (const key of common) {
      const record = native.get(key) as Fields
      const [ours, theirs] = [JSON.stringify(record[field] ?? null), JSON.stringify(unified.get(key)?.[field] ?? null)]
      if (ours === theirs) continue
      differing.add(field)
      if (!(field in differs))
        expect(`${model} ${key} ${field} is ${ours}`).toBe(`${model} ${key} ${field} is ${theirs}`)
    }
  return differing
}

describe('TRAFFIT read natively and through Kombo', () => {
  const models = Object.entries(COMPARED) as [ModelName, Compared][]

  it.each(models)('shows the same %s, but for what is listed', async (model, compared) => {
    const differing = await compare(model, compared)
    // What does not differ must not be listed.
    expect([...differing].sort()).toEqual(Object.keys(compared.differs ?? {}).sort())
  })

  it('shows the same after days in which people worked', { timeout: 120_000 }, async () => {
    for (let day = 0; day < 3; day++) {
      for (let i = 0; i < 40; i++) {
        sandbox.world.act(throughKombo)
        await clock.advance(60_000)
      }
      await settled()
      await clock.advance(86_400_000)
      sandbox.syncNow(throughKombo, 'FULL')
      await settled()
    }
    // What nobody announced is found by a complete pass.
    await completePass()
    cache.clear()
    for (const [model, compared] of models)
      await compare(model, { ...compared, differs: { ...compared.differs, ...compared.mayDiffer } })
  })
})
