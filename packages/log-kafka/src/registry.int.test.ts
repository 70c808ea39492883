import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { registryContract } from '@tidemark/registry/contract'
import { afterAll, describe, expect, it } from 'vitest'
import { findKafka } from '../../../test/harness/kafka.ts'
import { openRegistry } from './registry.ts'

const { kafka, skipped } = await findKafka({ registry: true })
afterAll(() => kafka?.stop())

const SCHEMA = '{"type":"record","name":"R","fields":[]}'

if (kafka?.registryUrl) {
  const url = kafka.registryUrl
  registryContract('Apicurio through kafkajs', async () => ({
    registry: openRegistry({ url, clientId: 'contract' }),
    subjectPrefix: `s${randomUUID().slice(0, 8)}-`,
    reopen: async () => openRegistry({ url, clientId: 'contract' }),
    dispose: async () => undefined,
  }))
} else {
  describe('registry', () => {
    it.skip(`fulfils the contract of the schema registry (skipped: ${skipped})`, () => undefined)
  })
}

describe('a registry', () => {
  it('that cannot be reached says so, with its address, and that it may be tried again', async () => {
    const registry = openRegistry({ url: 'http://127.0.0.1:1', clientId: 'test' })
    const error = {
      code: 'REGISTRY_UNAVAILABLE',
      next: 'retry',
      message: expect.stringContaining('http://127.0.0.1:1'),
    }
    await expect(registry.register('s', SCHEMA)).rejects.toMatchObject(error)
    await expect(registry.schemaById(1)).rejects.toMatchObject(error)
  })

  it('that fails, is silent or wants other credentials is told apart', async () => {
    let status = 500
    const server = createServer((_request, response) => {
      if (status === 0) return
      response.writeHead(status, { 'content-type': 'application/json' }).end('{"error_code":1,"message":"no"}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      const registry = openRegistry({ url, clientId: 'test', timeoutMs: 200 })
      await expect(registry.subjects()).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' })
      status = 401
      await expect(registry.subjects()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
      status = 0
      await expect(registry.subjects()).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' })
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
})
