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
export { type Token, Tokens } from './tokens.ts'
export { boundedWait, headerNumber, retryAfterMs } from './waits.ts'
