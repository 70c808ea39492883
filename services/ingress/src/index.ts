export type { LogTarget } from './drainer.ts'
export type { NamedSource } from './fetchStream.ts'
export type { ConnectionState, Health, SetupState } from './health.ts'
export {
  createWebhookReceiver,
  type ReceiverStatus,
  type WebhookReceiver,
  type WebhookReceiverDeps,
} from './receiver.ts'
export { DEFAULT_SCHEDULE, FULL_MAX_MS, type Schedule } from './schedule.ts'
export { createIngress, INGRESS_GROUP, type Ingress, type IngressDeps } from './service.ts'
export { openSpool, type Spool, type SpoolOptions, type SpoolStatus } from './spool/spool.ts'
export type { IntegrationStatus, StreamStatus } from './status.ts'
export type { SweepGuard } from './sweeps/guard.ts'
export type { HeldSweep } from './sweeps/sweepState.ts'
export { createIntegrationView, type IntegrationView, type IntegrationViewDeps } from './view.ts'
