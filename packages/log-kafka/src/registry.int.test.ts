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

describe('an id from elsewhere', () => {
  const wanted = { version: 3, id: 70_000, schema: SCHEMA }

  it.skipIf(!kafka?.registryUrl)('is not given by Apicurio, which says the one that it gave', async () => {
    const registry = openRegistry({ url: kafka?.registryUrl ?? '', clientId: 'test' })
    const subject = `s${randomUUID().slice(0, 8)}`
    const schema = SCHEMA.replace('"R"', `"${subject}"`)
    const id = await registry.registerAs(subject, { ...wanted, schema })
    expect(id).not.toBe(70_000)
    expect(await registry.register(subject, schema)).toBe(id)
  })

  /** Speaks as much of Confluent's API as a registration needs; none of theirs is at hand. */
  async function confluent(allowsModes: boolean) {
    const said: string[] = []
    const modes = new Map<string, string>()
    const server = createServer(async (request, response) => {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      const body = JSON.parse(Buffer.concat(parts).toString() || '{}') as { mode?: string; id?: number }
      said.push(`${request.method} ${request.url} ${JSON.stringify(body)}`)
      const answer = (status: number, value: object): void =>
        void response
          .writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' })
          .end(JSON.stringify(value))
      if (request.url?.startsWith('/mode/')) {
        if (!allowsModes) return answer(422, { error_code: 42205, message: 'Operation not permitted' })
        modes.set('s', body.mode ?? '')
        return answer(200, body)
      }
      if (request.url === '/subjects/s/versions') {
        const importing = modes.get('s') === 'IMPORT'
        if (importing !== (body.id !== undefined))
          return answer(422, { error_code: 42205, message: 'not in import mode' })
        return answer(200, { id: body.id ?? 5 })
      }
      return answer(200, { compatibilityLevel: 'FULL_TRANSITIVE' })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    return { url, said, modes, close: () => server.close() }
  }

  it('is asked for in IMPORT mode, which ends also when the registration fails', async () => {
    const server = await confluent(true)
    try {
      const registry = openRegistry({ url: server.url, clientId: 'test' })
      expect(await registry.registerAs('s', wanted)).toBe(70_000)
      expect(server.said.slice(1)).toEqual([
        'PUT /mode/s?force=true {"mode":"IMPORT"}',
        `POST /subjects/s/versions ${JSON.stringify({ schema: SCHEMA, version: 3, id: 70_000 })}`,
        'PUT /mode/s {"mode":"READWRITE"}',
      ])
      await expect(registry.registerAs('s', { ...wanted, schema: '{' })).rejects.toMatchObject({
        code: 'SCHEMA_INCOMPATIBLE',
      })
      expect(server.modes.get('s')).toBe('READWRITE')
    } finally {
      server.close()
    }
  })

  it('is left to the server where modes cannot be changed', async () => {
    const server = await confluent(false)
    try {
      const registry = openRegistry({ url: server.url, clientId: 'test' })
      expect(await registry.registerAs('s', wanted)).toBe(5)
    } finally {
      server.close()
    }
  })
})

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
