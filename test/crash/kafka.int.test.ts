import { afterAll, describe, expect, it } from 'vitest'
import { findKafka } from '../harness/kafka.ts'
import { postgresUrl } from '../harness/postgres.ts'
import { crashKafka } from './kafka.ts'

const { kafka } = await findKafka({ own: true, nodes: 3, registry: true })
const url = await postgresUrl()
afterAll(() => kafka?.stop())

describe.skipIf(!kafka?.local || url === undefined)('on Kafka', () => {
  it('loses nothing and repeats nothing when services, brokers and PostgreSQL sessions are killed again and again', {
    timeout: 600_000,
  }, async () => {
    const result = await crashKafka({
      kills: 16,
      seed: 3,
      cluster: kafka?.local as never,
      postgresUrl: url as string,
      print: () => undefined,
    })
    expect(result.details).toEqual([])
    expect(result.recordsWrong).toEqual([])
    expect(result).toMatchObject({ lost: 0, repeated: 0, different: 0, webhooksLost: 0, verifyExitCode: 0 })
    // Otherwise the checks above had nothing to look at.
    expect(result.changes).toBeGreaterThan(1_000)
    expect(result.webhooksAcknowledged).toBeGreaterThan(0)
  })
})
