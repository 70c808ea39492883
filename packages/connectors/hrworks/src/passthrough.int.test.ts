import {
  type ApiRequest,
  apiRequest,
  type PassthroughStandIn,
  passthroughContract,
  RATE_LIMIT_SECONDS,
  type Scripted,
  startScriptedServer,
} from '@tidemark/connector/contract'
import { failure, tokenUntil } from '../test/fakeHrworks.ts'
import { connector } from './index.ts'

const YEAR_2100 = 4_102_444_800

async function start(): Promise<PassthroughStandIn> {
  const seen: ApiRequest[] = []
  let minted = 0
  const standIn = { answer: (_request: ApiRequest, _count: number): Scripted => ({ body: {} }) }
  const { origin, close } = await startScriptedServer((received) => {
    const request = apiRequest(received, '/v2')
    if (request.path === '/authentication') return { body: { token: tokenUntil(YEAR_2100 + minted++) } }
    seen.push(request)
    return standIn.answer(request, seen.length - 1)
  })
  return Object.assign(standIn, {
    options: {
      base_url: `${origin}/v2`,
      access_key: 'the-access-key',
      secret_access_key: 'the-secret-access-key',
      integration: 'hrworks:acme',
    },
    integrationId: 'hrworks:acme',
    tool: 'hrworks',
    api: 'v2',
    secrets: ['the-access-key', 'the-secret-access-key', tokenUntil(YEAR_2100)],
    seen,
    rateLimited: { ...failure(429), headers: { 'retry-after': String(RATE_LIMIT_SECONDS) } },
    close,
  })
}

passthroughContract(connector, start, { hasTokens: true, hasForms: true })
