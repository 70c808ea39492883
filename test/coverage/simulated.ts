/** One small simulated company, read through each connector from its provider's simulator. The same seed and times give the same records. */
import { seededRandom } from '@tidemark/base'
import type { Connector, ConnectorDeps, Page, Source } from '@tidemark/connector'
import { drive } from '@tidemark/connector/contract'
import { connector as knit } from '@tidemark/connector-knit'
import { connector as kombo } from '@tidemark/connector-kombo'
import { createSandbox, World } from '@tidemark/sandbox'
import { createKnitSimulator } from '@tidemark/sandbox/knit'
import { ManualClock } from '@tidemark/testing'
import { startTenant } from '../../packages/connectors/hrworks/test/tenant.ts'
import { startRig } from '../../packages/connectors/traffit/test/rig.ts'
import { startReceiver } from '../../packages/sandbox/src/knit/testkit.ts'
import type { ConnectorName, Reading } from './reading.ts'

const SIZES = { jobs: 20, candidates: 60, applications: 90 }

/** Reads of each connector all that its simulator has. */
export const SIMULATED: Readonly<Record<ConnectorName, () => Promise<Reading>>> = {
  kombo: readKombo,
  traffit: readTraffit,
  hrworks: readHrworks,
  knit: readKnit,
}

const create = (
  connector: Connector,
  options: Readonly<Record<string, unknown>>,
  clock: ConnectorDeps['clock'],
): Source => connector.create(connector.parseOptions(options), { clock, random: seededRandom(1) })

/** Records of pages or events; throws when one of them could not be mapped. */
function recordsOf(pages: readonly Pick<Page, 'mapped'>[]): Reading['records'] {
  for (const { error } of pages.flatMap(({ mapped }) => mapped.failures)) throw error
  return pages.flatMap(({ mapped }) => mapped.records)
}

/** Pages of every stream, through `fetch`, which answers with what a stream gave. */
async function readStreams(
  source: Source,
  fetch: (stream: string) => Promise<{ readonly pages: readonly Page[]; readonly error: unknown }>,
): Promise<Reading> {
  const pages: Page[] = []
  for (const stream of source.streams) {
    const answer = await fetch(stream)
    if (answer.error !== undefined) throw answer.error
    pages.push(...answer.pages)
  }
  const models = new Set(source.streams.flatMap((each) => source.modelsOf(each)))
  return { models, records: recordsOf(pages) }
}

/** Fetches of a source without a rig of its own. */
const fetchFrom =
  (source: Source, integrationId: string) =>
  async (stream: string): Promise<{ readonly pages: readonly Page[]; readonly error: undefined }> => {
    const pages: Page[] = []
    const { signal } = new AbortController()
    for await (const page of source.fetch({ integrationId, stream, signal })) pages.push(page)
    return { pages, error: undefined }
  }

async function readKombo(): Promise<Reading> {
  const clock = new ManualClock()
  const sandbox = createSandbox({ clock, integrations: 1, sizes: SIZES, rateLimit: null })
  const { url } = await sandbox.start()
  const { apiKey, webhookSecret, integrations } = sandbox
  const [id = ''] = integrations
  const source = create(kombo, { base_url: url, api_key: apiKey, webhook_secret: webhookSecret, integrations }, clock)
  try {
    const [candidate] = sandbox.world.company(id).tables.candidates.values()
    if (candidate) sandbox.world.deleteCandidate(id, candidate.id)
    return await drive(clock, readStreams(source, fetchFrom(source, id)))
  } finally {
    await source.close()
    await sandbox.stop()
  }
}

async function readTraffit(): Promise<Reading> {
  const rig = await startRig({ sizes: SIZES })
  try {
    return await readStreams(rig.source, (stream) => rig.fetch(stream))
  } finally {
    await rig.close()
  }
}

async function readHrworks(): Promise<Reading> {
  const tenant = await startTenant({ sizes: SIZES })
  try {
    return await readStreams(tenant.source, (stream) => tenant.fetch(stream))
  } finally {
    await tenant.close()
  }
}

/** Knit sends everything itself: fetching makes it begin, and the records are those of its events. */
async function readKnit(): Promise<Reading> {
  const clock = new ManualClock()
  const id = 'int-1'
  const world = new World({ seed: 5, now: () => clock.now(), onMutation: () => undefined })
  const company = world.found(SIZES, 'workable', id)
  const apiKey = 'knit-api-key'
  const simulator = createKnitSimulator({ clock, apiKey, accounts: [{ company, app: 'workable' }] })
  const { url } = await simulator.start()
  const receiver = await startReceiver()
  simulator.setWebhookTarget(receiver.url)
  const source = create(knit, { base_url: url, api_key: apiKey, integrations: [id] }, clock)
  try {
    const { models } = await drive(clock, readStreams(source, fetchFrom(source, id)))
    await simulator.settled()
    const effects = receiver.received.flatMap(
      ({ headers, raw }) => source.readWebhook({ headers, query: {}, rawBody: raw }).effects,
    )
    return { models, records: recordsOf(effects.filter((effect) => effect.kind === 'records')) }
  } finally {
    await source.close()
    await simulator.stop()
    await receiver.close()
  }
}
