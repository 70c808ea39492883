import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Connector, WebhookRequest } from '@tidemark/connector'
import { connector as kombo } from '@tidemark/connector-kombo'

/** A route that takes webhooks, with what it takes and how that is proved. */
export interface FuzzTarget {
  readonly connector: Connector
  readonly options: Readonly<Record<string, unknown>>
  /** Real payloads. */
  readonly payloads: readonly Buffer[]
  /** Headers and query that prove a body, whatever it is. */
  readonly prove: (body: Buffer) => Pick<WebhookRequest, 'headers' | 'query'>
}

const fixtures = (path: string): Buffer[] =>
  (JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as object[]).map((payload) =>
    Buffer.from(JSON.stringify(payload)),
  )

const SECRET = 'the-secret'
const hmac = (body: Buffer): string => createHmac('sha256', SECRET).update(body).digest('base64url')

export const TARGETS: readonly FuzzTarget[] = [
  {
    connector: kombo,
    options: {
      ...{ base_url: 'http://127.0.0.1:9/v1', api_key: 'key', webhook_secret: SECRET },
      integrations: ['acme:1'],
    },
    payloads: fixtures('../../packages/connectors/kombo/fixtures/webhooks.json'),
    prove: (body) => ({ headers: { 'x-kombo-signature': hmac(body) }, query: {} }),
  },
]
