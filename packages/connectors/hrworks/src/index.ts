import type { Connector } from '@tidemark/connector'
import { type HrworksOptions, parseOptions } from './options.ts'
import { createSource } from './source.ts'

export { HrworksClient } from './client.ts'
export { type JobOutcome, submitAndWait, waitForJob } from './jobs.ts'
export { type HrworksOptions, parseOptions } from './options.ts'
export type { HrworksSource } from './source.ts'
export { type Registration, registerWebhooks, removeWebhooks } from './subscriptions.ts'

/** The HR WORKS API v2: complete listings, and signed hints by webhook where the tenant has them. */
export const connector: Connector = {
  name: 'hrworks',
  version: '0.1.0',
  // The signature of a stored webhook reveals nothing about the key and lets the bytes be proved later, so it is kept.
  secretHeaders: [],
  secretOptions: ['access_key', 'secret_access_key', 'webhook_secret'],
  parseOptions,
  create: (options, deps) => createSource(options as HrworksOptions, deps),
}
