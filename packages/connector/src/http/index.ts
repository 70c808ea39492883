export { insteadOfJson, parseJson } from './body.ts'
export {
  HTTP_LIMITS,
  type HttpAnswer,
  HttpClient,
  type HttpClientOptions,
  type HttpLimits,
  type HttpRequest,
  type Judgement,
  type Quota,
} from './client.ts'
export { PageGuard, type PageGuardOptions } from './pageGuard.ts'
export { impatient, LIVE_ATTEMPTS_MAX } from './passthrough/patience.ts'
export { type Token, Tokens } from './tokens.ts'
export { boundedWait, headerNumber, retryAfterMs } from './waits.ts'
