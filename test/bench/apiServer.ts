/** Serves the API over a log and, where one is named, a database, in a process of its own; on a line of input it prints its peak of private memory and ends. */
import { registerApi } from '@tidemark/api'
import { systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { openEmbedded } from '@tidemark/log-embedded'
import type { SqlStore } from '@tidemark/store'
import { openPostgres } from '@tidemark/store-postgres'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import fastify from 'fastify'
import { CHANGE_INTEGRATION } from './changes.ts'
import { privateBytes, watchMemory } from './memory.ts'

const [path = '', databaseUrl] = process.argv.slice(2)
const embedded = await openEmbedded({ path, clock: systemClock })
const codec = await openCodec(embedded.registry)
const noTables = async (): Promise<never> => {
  throw new Error('no database was named')
}
const store: SqlStore =
  databaseUrl === undefined
    ? { query: noTables, transaction: noTables, script: noTables, close: async () => undefined }
    : await openPostgres({ url: databaseUrl })
const app = fastify({ forceCloseConnections: true })
const status = {
  integrations: () => [{ integrationId: CHANGE_INTEGRATION, source: 'bench', state: 'ACTIVE', streams: [] }],
  services: () => ({}),
  notReady: () => [],
  syncRuns: () => [],
  queuedSync: () => null,
}
registerApi(app, {
  ...{ store, log: embedded.log, codec, logger: silentLogger, metrics: createMetrics(), clock: systemClock },
  ...{ newId: () => 'none', schema: 'tidemark', status, apiKeys: [] },
})
const url = await app.listen({ port: 0, host: '127.0.0.1' })
const idle = privateBytes()
const peak = watchMemory()
process.stdout.write(`${JSON.stringify({ url })}\n`)
process.stdin.once('data', () => {
  process.stdout.write(`${JSON.stringify({ idle, peak: peak() })}\n`)
  process.exit(0)
})
