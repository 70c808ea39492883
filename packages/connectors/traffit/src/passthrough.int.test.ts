import {
  type ApiRequest,
  apiRequest,
  type PassthroughStandIn,
  passthroughContract,
  RATE_LIMIT_SECONDS,
  type Scripted,
  startScriptedServer,
} from '@tidemark/connector/contract'
import { failure, granted } from '../test/fakeTraffit.ts'
import { connector } from './index.ts'

async function start(): Promise<PassthroughStandIn> {
  const seen: ApiRequest[] = []
  let minted = 0
  const standIn = { answer: (_request: ApiRequest, _count: number): Scripted => ({ body: {} }) }
  const { origin, close } = await startScriptedServer((received) => {
    if (received.url.pathname === '/oauth2/token') return granted(`access-token-${++minted}`)
    const request = apiRequest(received, '/api/integration/v2')
    seen.push(request)
    return standIn.answer(request, seen.length - 1)
  })
  return Object.assign(standIn, {
    options: {
      base_url: origin,
      client_id: 'acme_tidemark',
      client_secret: 'the-client-secret',
      webhook_secret: 'the/webhook=secret',
      integration: 'traffit:acme',
      requests_per_second: 1000,
    },
    integrationId: 'traffit:acme',
    tool: 'traffit',
    api: 'v2',
    secrets: ['the-client-secret', 'the/webhook=secret', 'access-token-1'],
    seen,
    rateLimited: { ...failure(429), headers: { 'retry-after': String(RATE_LIMIT_SECONDS) } },
    close,
  })
}

passthroughContract(connector, start, { hasTokens: true, hasForms: true })
