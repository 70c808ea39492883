import { seededRandom, TidemarkError } from '@tidemark/base'
import { ManualClock } from '@tidemark/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Scripted, type ScriptedServer, startScriptedServer } from '../testing/scriptedServer.ts'
import { type HttpAnswer, HttpClient, type Judgement } from './client.ts'

const SECRET = 'secret/of+this=source'
const TOKEN = 'token-of-this-request'

let server: ScriptedServer
let client: HttpClient
let answer: Scripted

beforeEach(async () => {
  server = await startScriptedServer(() => answer)
  client = new HttpClient(
    { clock: new ManualClock(), random: seededRandom(1) },
    { provider: 'Gondor', secrets: [SECRET, ''] },
  )
})

afterEach(async () => {
  await client.close()
  await server.close()
})

const send = <T>(judge: (answer: HttpAnswer) => Judgement<T>): Promise<T> =>
  client.send(
    {
      ...{ method: 'GET', url: server.origin, what: 'GET /', signal: new AbortController().signal },
      headers: async () => ({ authorization: `Bearer ${TOKEN}` }),
    },
    judge,
  )

const take = (): Promise<HttpAnswer> => send((value) => ({ kind: 'done', value }))

it('a failure is read without the secrets that it repeats, and is else as it was received', async () => {
  const bytes = `<p>\u00ff "${SECRET}", ${encodeURIComponent(SECRET)}, Bearer ${TOKEN}</p>`
  answer = { status: 403, headers: { 'x-echo': TOKEN }, body: bytes }
  const { body, headers } = await take()
  expect(Buffer.from(body).toString()).toBe('<p>\u00ff "***", ***, Bearer ***</p>')
  expect(headers['x-echo']).toBe('***')
})

it('data of the provider are as they were received, whatever they hold', async () => {
  answer = { status: 200, headers: { 'x-echo': SECRET }, body: `[{"url":"https://x/?secret=${SECRET}"}]` }
  const { body, headers } = await take()
  expect(Buffer.from(body).toString()).toBe(answer.body)
  expect(headers['x-echo']).toBe('***')
})

it('an error says nothing secret, though the answer had succeeded', async () => {
  answer = { status: 200, body: '' }
  const error = new TidemarkError('PROVIDER_REFUSED', `they said ${SECRET}`, { fields: { said: TOKEN, status: 200 } })
  await expect(send(() => ({ kind: 'fail', error }))).rejects.toMatchObject({
    ...{ code: 'PROVIDER_REFUSED', message: 'they said ***', fields: { said: '***', status: 200 } },
  })
  expect(client.redact(`${SECRET}!`)).toBe('***!')
})
