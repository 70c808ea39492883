export type { NamedSource } from './fetchStream.ts'
export { createIngress, INGRESS_GROUP, type Ingress, type IngressDeps } from './service.ts'
export type { IntegrationStatus, StreamStatus } from './status.ts'
