export { registerApi } from './api.ts'
export { type ApiKey, hashApiKey, type Scope } from './auth.ts'
export { requireWrite, scopeOf } from './context.ts'
export type {
  ApiDeps,
  ApiOptions,
  ConnectionState,
  HeldSweep,
  IntegrationStatus,
  LiveSource,
  SetupState,
  StatusProviders,
  StreamStatus,
  SweepState,
  SyncRun,
} from './deps.ts'
export { API_ERRORS, ApiError, errorBody, sendError, sendNotFound } from './errors.ts'
export { type OperationsDeps, registerOperations } from './operations.ts'
export { type RateLimit, USUAL_LIMIT } from './rateLimit.ts'
