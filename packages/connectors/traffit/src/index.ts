import type { Connector } from '@tidemark/connector'
import { parseOptions, type TraffitOptions } from './options.ts'
import { createSource } from './source.ts'

/** TRAFFIT's integration API, version 2: one tenant, read by pages, with webhooks as hints. */
export const connector: Connector = {
  name: 'traffit',
  version: '0.1.0',
  // Webhooks carry their secret in the query; headers hold none.
  secretHeaders: ['authorization'],
  secretOptions: ['client_secret', 'webhook_secret'],
  parseOptions,
  create: (options, deps) => createSource(options as TraffitOptions, deps),
}

export { TraffitClient } from './client.ts'
export { parseOptions, type TraffitOptions } from './options.ts'
export { ensureSubscriptions, removeSubscriptions, type SubscriptionChange } from './subscriptions.ts'
