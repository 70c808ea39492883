import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Connector, WebhookRequest } from '@tidemark/connector'
import { connector as hrworks } from '@tidemark/connector-hrworks'
import { connector as knit } from '@tidemark/connector-knit'
import { connector as kombo } from '@tidemark/connector-kombo'
import { connector as traffit } from '@tidemark/connector-traffit'

/** A route that takes webhooks, with what it takes and how that is proved. */
export interface FuzzTarget {
  readonly connector: Connector
  readonly options: Readonly<Record<string, unknown>>
  /** Real payloads. */
  readonly payloads: readonly Buffer[]
  /** Headers and query that prove a body; null for one that nothing can prove. */
  readonly prove: (body: Buffer) => Pick<WebhookRequest, 'headers' | 'query'> | null
}

/** The values of a fixture, a list of payloads or an object of named ones. */
function fixtures(path: string): object[] {
  const url = new URL(`../../packages/connectors/${path}`, import.meta.url)
  return Object.values(JSON.parse(readFileSync(url, 'utf8')) as Record<string, object>)
}

const bodies = (payloads: readonly object[]): Buffer[] =>
  payloads.map((payload) => Buffer.from(JSON.stringify(payload)))

const SECRET = 'the-secret-of-webhooks'
const hmac = (text: Buffer | string): Buffer => createHmac('sha256', SECRET).update(text).digest()

/** Knit's record events around the samples of its two models. */
const knitRecords = (['application', 'job'] as const).map((name) => {
  const url = new URL(`../../packages/connectors/knit/fixtures/${name}.json`, import.meta.url)
  return JSON.parse(readFileSync(url, 'utf8')) as object
})

/** HR WORKS signs the job id that the body holds. */
function hrworksProof(body: Buffer): Pick<WebhookRequest, 'headers' | 'query'> | null {
  try {
    const { jobId } = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as { jobId?: unknown }
    if (typeof jobId !== 'string' || jobId === '') return null
    const timestamp = String(Math.floor(Date.now() / 1000))
    const signature = hmac(`${jobId}.${timestamp}`).toString('base64')
    return { headers: { 'x-hrworks-timestamp': timestamp, 'x-hrworks-signature': signature }, query: {} }
  } catch {
    // No JSON, so there is nothing to sign.
    return null
  }
}

export const TARGETS: readonly FuzzTarget[] = [
  {
    connector: kombo,
    options: {
      ...{ base_url: 'http://127.0.0.1:9/v1', api_key: 'key', webhook_secret: SECRET },
      integrations: ['acme:1'],
    },
    payloads: bodies(fixtures('kombo/fixtures/webhooks.json')),
    prove: (body) => ({ headers: { 'x-kombo-signature': hmac(body).toString('base64url') }, query: {} }),
  },
  {
    connector: traffit,
    options: {
      ...{ base_url: 'http://127.0.0.1:9', client_id: 'acme_tidemark', client_secret: 'client-secret' },
      ...{ webhook_secret: SECRET, integration: 'acme:1' },
    },
    payloads: bodies(fixtures('traffit/fixtures/webhooks.json')),
    prove: () => ({ headers: {}, query: { secret: SECRET } }),
  },
  {
    connector: hrworks,
    options: {
      ...{ base_url: 'http://127.0.0.1:9/v2', access_key: 'access-key', secret_access_key: SECRET },
      integration: 'acme:1',
    },
    payloads: bodies(fixtures('hrworks/fixtures/webhooks.json')),
    prove: hrworksProof,
  },
  {
    connector: knit,
    options: { base_url: 'http://127.0.0.1:9/v1.0', api_key: SECRET, integrations: ['acme:1'] },
    payloads: bodies([...fixtures('knit/fixtures/events.json'), ...knitRecords]),
    prove: (body) => ({
      headers: { 'x-knit-signature': hmac(body).toString('base64url'), 'x-knit-integration-id': 'acme:1' },
      query: {},
    }),
  },
]
