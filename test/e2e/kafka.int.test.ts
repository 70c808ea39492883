/** The whole product on Kafka and PostgreSQL, as a user starts it. One story: each step goes on from the one before. */
import { createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { openKafka, openRegistry } from '@tidemark/log-kafka'
import { OBSERVED_TOPIC, RAW_TOPIC } from '@tidemark/model'
import { projectionLag } from '@tidemark/projector'
import { createSandbox, type Sandbox } from '@tidemark/sandbox'
import { openPostgres } from '@tidemark/store-postgres'
import { Kafka } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findKafka } from '../harness/kafka.ts'
import { createTestDatabase, postgresUrl, type TestDatabase } from '../harness/postgres.ts'
import { freePort, runTidemark, startTidemark, type TidemarkProcess } from '../harness/tidemark.ts'

const { kafka, skipped } = await findKafka({ own: true, registry: true })
const serverUrl = await postgresUrl()
const PARTITIONS = 3

/** The brokers' address while nobody listens there, and from `open` on the way to the broker. */
class Gate {
  readonly #server: Server
  readonly #port: number

  constructor(port: number, target: string) {
    const [host, targetPort] = target.split(':')
    this.#port = port
    this.#server = createServer((socket) => {
      const out = connect(Number(targetPort), host as string)
      socket.pipe(out).pipe(socket)
      for (const one of [socket, out]) one.on('error', () => socket.destroy() && out.destroy())
    })
  }

  open(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.#port, '127.0.0.1', () => resolve()))
  }

  close(): void {
    this.#server.close()
  }
}

async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1200; i++) {
    if (await isTrue()) return
    await systemClock.sleep(100)
  }
  throw new Error(`it did not come to that within two minutes: ${what}`)
}

describe.skipIf(!kafka || serverUrl === undefined)(
  `tidemark on Kafka${skipped ? ` (skipped: ${skipped})` : ''}`,
  {
    timeout: 180_000,
  },
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-kafka-e2e-'))
    let database: TestDatabase
    let sandbox: Sandbox
    let gate: Gate
    let port: number
    let config: string
    let tidemark: TidemarkProcess

    beforeAll(async () => {
      database = await createTestDatabase(serverUrl as string)
      port = await freePort()
      const gatePort = await freePort()
      gate = new Gate(gatePort, kafka?.brokers[0] as string)
      sandbox = createSandbox({
        seed: 5,
        sizes: { jobs: 5, candidates: 30, applications: 40 },
        initial: 'synced',
        rateLimit: null,
      })
      const { url } = await sandbox.start()
      config = join(folder, 'tidemark.yaml')
      const source = {
        ...{ name: 'kombo', connector: 'kombo', base_url: url, api_key: sandbox.apiKey },
        ...{ webhook_secret: sandbox.webhookSecret, integrations: sandbox.integrations },
      }
      const content = {
        mode: 'kafka',
        kafka: { brokers: [`127.0.0.1:${gatePort}`], registry: kafka?.registryUrl },
        postgres: database.url,
        partitions: PARTITIONS,
        sources: [source],
      }
      writeFileSync(config, JSON.stringify(content))
      tidemark = start()
    })

    afterAll(async () => {
      await tidemark?.kill()
      gate?.close()
      await sandbox?.stop()
      await database?.drop()
      await kafka?.stop()
      rmSync(folder, { recursive: true, force: true })
    })

    const start = (): TidemarkProcess => startTidemark({ data: join(folder, 'data'), port, config })
    const run = (...args: string[]) => runTidemark([...args, '--config', config, '--data', join(folder, 'data')])
    const readyz = async (): Promise<{ status: number; text: string }> => {
      const response = await fetch(`http://127.0.0.1:${port}/readyz`)
      return { status: response.status, text: await response.text() }
    }
    const lag = async (): Promise<number> => {
      const response = await fetch(`http://127.0.0.1:${port}/v1/status`)
      type Body = { data: { services: Record<string, { lag?: number }>; totals: { records: number } } }
      const { data } = (await response.json()) as Body
      const behind = Object.values(data.services).reduce((sum, service) => sum + (service.lag ?? 0), 0)
      return data.totals.records === 0 ? Number.POSITIVE_INFINITY : behind
    }
    const idle = async (): Promise<void> => {
      const sync = await runTidemark(['sync', '--full', '--port', String(port)])
      expect(sync.stderr + sync.stdout).toContain('SUCCEEDED')
      await until('nothing is behind', async () => (await lag()) === 0)
    }
    const openLog = () =>
      openKafka({
        brokers: kafka?.brokers as string[],
        clientId: 'test',
        stateDir: join(folder, 'test'),
        clock: systemClock,
      })

    it('without a broker says so in one line, is not ready, and takes webhooks all the same', async () => {
      await until('it has tried', () => tidemark.stderr().includes('Trying again'))
      const lines = tidemark.stderr().split('\n')
      expect(lines.filter((line) => line.includes('Trying again'))[0]).toMatch(
        /Log cannot be reached.*127\.0\.0\.1:\d+/,
      )
      const { status, text } = await readyz()
      expect([status, text]).toEqual([503, expect.stringContaining('Log cannot be reached')])
      const body = JSON.stringify({
        id: 'spooled-1',
        type: 'data-changed',
        data: { integration_id: sandbox.integrations[0], changed_models: [{ name: 'ats_jobs' }] },
      })
      const signature = createHmac('sha256', sandbox.webhookSecret).update(body).digest('base64url')
      const response = await fetch(`http://127.0.0.1:${port}/webhooks/kombo`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-kombo-signature': signature },
        body,
      })
      expect(response.status).toBe(200)
    })

    it('starts by itself when the broker is there, with the webhook it took', async () => {
      await gate.open()
      await tidemark.ready()
      await idle()
      const { log, close } = await openLog()
      const codec = await openCodec(openRegistry({ url: kafka?.registryUrl as string, clientId: 'test' }))
      const bodies: string[] = []
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const { records } = await log.fetch({ topic: RAW_TOPIC, partition, offset: 0 })
        for (const { value } of records) bodies.push(Buffer.from(codec.decode('Raw', value as Buffer).body).toString())
      }
      await close()
      expect(bodies.filter((body) => body.includes('spooled-1'))).toHaveLength(1)
    })

    it('rebuilds its tables from the stream while it runs, and verifies', async () => {
      const rebuilt = await run('replay', 'tables', '--json')
      expect(rebuilt).toMatchObject({ code: 0 })
      expect(JSON.parse(rebuilt.stdout)).toMatchObject({ outcome: 'switched', failed: 0, gaps: [] })
      await idle()
      expect((await readyz()).status).toBe(200)
      const verified = await run('verify')
      expect([verified.code, verified.stdout]).toEqual([0, expect.stringContaining('everything holds')])
    })

    it('is not behind for ever when a partition ends in a transaction that was aborted', async () => {
      const topic = 'ats.jobs.changes'
      const producer = new Kafka({ brokers: kafka?.brokers as string[] }).producer({
        transactionalId: 'aborts',
        idempotent: true,
        maxInFlightRequests: 1,
      })
      await producer.connect()
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: [{ partition: 0, key: 'k', value: 'v' }] })
      await transaction.abort()
      await producer.disconnect()
      const { log, close } = await openLog()
      const store = await openPostgres({ url: database.url })
      await until('the tables have passed it', async () =>
        (await projectionLag(log, store, 'tidemark')).every((partition) => partition.lag === 0),
      )
      await Promise.all([store.close(), close()])
    })

    it('prints the stream again, and moves a group of somebody else there, but not its own', async () => {
      const printed = await run('replay', '--from', 'earliest', '--model', 'jobs')
      expect(printed.code).toBe(0)
      const changes = printed.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { topic: string; value: { version: number; after: { name: string } } })
      expect(changes.length).toBeGreaterThanOrEqual(5)
      expect(changes[0]).toMatchObject({ topic: 'ats.jobs.changes', value: { version: 1, op: 'created' } })
      const moved = await run('replay', '--from', 'latest', '--model', 'jobs', '--group', 'somebody')
      expect(moved.code).toBe(0)
      const { log, close } = await openLog()
      const { end } = await log.bounds('ats.jobs.changes', 1)
      expect((await log.positions('somebody', 'ats.jobs.changes')).get(1)).toBe(end)
      await close()
      const own = await run('replay', '--from', 'earliest', '--group', 'diff-processor')
      expect([own.code, own.stderr]).toEqual([1, expect.stringContaining("tidemark's own")])
    })

    it('refuses to start with another number of partitions, and says which topic has how many', async () => {
      expect(await tidemark.stop()).toBe(0)
      const other = join(folder, 'other.yaml')
      writeFileSync(other, readFileSync(config, 'utf8').replace(`"partitions":${PARTITIONS}`, '"partitions":5'))
      const refused = await runTidemark(['up', '--no-feed', '--config', other, '--data', join(folder, 'other')])
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/TOPIC_MISMATCH.*ats\..* 3 partitions/)])
    })

    it('stops a partition whose next records retention has removed, says so, and jumps over nothing', async () => {
      const { log, close } = await openLog()
      const [first] = [...(await log.positions('diff-processor', OBSERVED_TOPIC)).keys()]
      const partition = first as number
      const position = (await log.positions('diff-processor', OBSERVED_TOPIC)).get(partition) as number
      const record = {
        topic: OBSERVED_TOPIC,
        partition,
        key: Buffer.from('k'),
        value: Buffer.from('x'),
        timestampMs: 1,
      }
      await log.append([record, record])
      const admin = new Kafka({ brokers: kafka?.brokers as string[] }).admin()
      await admin.connect()
      // Makes the client learn who leads the topic; without it the next call fails.
      await admin.fetchTopicOffsets(OBSERVED_TOPIC)
      await admin.deleteTopicRecords({
        topic: OBSERVED_TOPIC,
        partitions: [{ partition, offset: String(position + 1) }],
      })
      await admin.disconnect()
      tidemark = start()
      await until('it says so', async () =>
        (await readyz().catch(() => ({ text: '' }))).text.includes('OFFSET_OUT_OF_RANGE'),
      )
      expect(await readyz()).toMatchObject({ status: 503, text: expect.stringContaining(`partition ${partition}`) })
      expect((await log.positions('diff-processor', OBSERVED_TOPIC)).get(partition)).toBe(position)
      await close()
    })
  },
)
