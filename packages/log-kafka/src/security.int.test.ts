import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePorts } from '../../../infra/kafka.ts'
import { findJava, resolveKafka } from '../../../infra/local/resolve.ts'
import { findKafka } from '../../../test/harness/kafka.ts'
import { record, Scene } from './testing/logs.ts'

const run = promisify(execFile)

const USER = { username: 'tidemark', password: 'p4ss word"' } as const
const STORE_PASSWORD = 'changeit'

/** A certificate of its own in a key store; its PEM is all that a client is to trust. */
async function certificate(java: string, folder: string): Promise<{ readonly store: string; readonly pem: string }> {
  const tool = java === 'java' ? 'keytool' : join(dirname(java), 'keytool')
  const store = join(folder, 'broker.p12')
  const common = ['-alias', 'broker', '-keystore', store, '-storetype', 'PKCS12', '-storepass', STORE_PASSWORD]
  const subject = ['-dname', 'CN=broker', '-ext', 'san=ip:127.0.0.1']
  await run(tool, ['-genkeypair', ...common, '-keyalg', 'RSA', '-keysize', '2048', '-validity', '3650', ...subject])
  const { stdout } = await run(tool, ['-exportcert', '-rfc', ...common])
  return { store, pem: stdout }
}

/** Gives the user a SCRAM password, as an administrator does. */
async function addUser(java: string, broker: string, mechanism: string): Promise<void> {
  const jars = await resolveKafka(() => undefined)
  const config = `${mechanism}=[password=${USER.password}]`
  const target = ['--bootstrap-server', broker, '--entity-type', 'users', '--entity-name', USER.username]
  const args = ['kafka.admin.ConfigCommand', ...target, '--alter', '--add-config', config]
  await run(java, ['-cp', `${jars}/*`, ...args])
}

const folder = mkdtempSync(join(tmpdir(), 'tidemark-secure-'))
const java = await findJava()
// Without Java there is no broker either, and the tests are skipped with that reason.
const { store, pem: ca } = java === undefined ? { store: '', pem: '' } : await certificate(java, folder)
const [inside = 0] = await freePorts(1)
const { kafka, skipped } = await findKafka({
  own: true,
  nodeSettings: ({ port, controllerPort }) => ({
    listeners: `SASL_SSL://127.0.0.1:${port},PLAINTEXT://127.0.0.1:${inside},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `SASL_SSL://127.0.0.1:${port},PLAINTEXT://127.0.0.1:${inside}`,
    'listener.security.protocol.map': 'SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'ssl.keystore.location': store,
    'ssl.keystore.password': STORE_PASSWORD,
    'ssl.keystore.type': 'PKCS12',
    'listener.name.sasl_ssl.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_${USER.username}="simple";`,
    ...Object.fromEntries(
      ['256', '512'].map((bits) => [
        `listener.name.sasl_ssl.scram-sha-${bits}.sasl.jaas.config`,
        'org.apache.kafka.common.security.scram.ScramLoginModule required;',
      ]),
    ),
  }),
})

afterAll(async () => {
  await kafka?.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe.skipIf(skipped !== undefined)(
  `a broker that asks who one is${skipped ? ` (skipped: ${skipped})` : ''}`,
  () => {
    const scene = new Scene(kafka?.brokers ?? [])

    beforeAll(async () => {
      for (const bits of ['256', '512']) await addUser(java as string, `127.0.0.1:${inside}`, `SCRAM-SHA-${bits}`)
    }, 120_000)
    afterAll(() => scene.dispose())

    it.each([
      { mechanism: 'plain', password: 'simple' },
      { mechanism: 'scram-sha-256', password: USER.password },
      { mechanism: 'scram-sha-512', password: USER.password },
    ] as const)('lets one in with $mechanism over TLS, for all that a log does', async ({ mechanism, password }) => {
      const { log } = await scene.open({ tls: { ca }, sasl: { mechanism, username: USER.username, password } })
      const input = await scene.topic(log, `in-${mechanism}`)
      const output = await scene.topic(log, `out-${mechanism}`)
      await log.append([record(input, 'k', 'v')])
      const task = await log.openTask({ group: `${scene.prefix}${mechanism}`, topic: input, partition: 0 })
      await task.commit({ outputs: [record(output, 'k', 'w')], state: [], position: 1 })
      await task.close()
      const { records } = await log.fetch({ topic: output, partition: 0, offset: 0 })
      expect(records.map(({ value }) => value?.toString())).toEqual(['w'])
      expect((await log.positions(`${scene.prefix}${mechanism}`, input)).get(0)).toBe(1)
    })

    it('refuses a wrong password, and the error says so', async () => {
      const sasl = { mechanism: 'scram-sha-512', username: USER.username, password: 'wrong' } as const
      await expect(scene.open({ tls: { ca }, sasl, operationTimeoutMs: 3000 })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(/authentication/i),
      })
    })

    it('is not believed with a certificate that nobody vouches for', async () => {
      const sasl = { mechanism: 'plain', username: USER.username, password: 'simple' } as const
      await expect(scene.open({ tls: true, sasl, operationTimeoutMs: 3000 })).rejects.toThrow(
        /self[- ]signed|certificate/i,
      )
    })
  },
)
