export { registerApi } from './api.ts'
export type { ApiKey, Scope } from './auth.ts'
export type { ApiDeps, ApiOptions, IntegrationStatus, StatusProviders, StreamStatus, SyncRun } from './deps.ts'
export { ApiError, errorBody, sendError, sendNotFound } from './errors.ts'
