import type { Connector } from '@tidemark/connector'
import { type KnitOptions, parseOptions } from './options.ts'
import { createSource } from './source.ts'

export { actions } from './actions.ts'
export { checkAccess, checkScope, type ScopeCheck } from './check.ts'
export { KnitClient } from './client.ts'
export { setSyncTime, startSync, updateSync } from './syncs.ts'

/** Knit's unified ATS API: records arrive one a webhook; fetching asks Knit to send them. */
export const connector: Connector = {
  name: 'knit',
  version: '0.1.0',
  // The signature of a stored webhook reveals nothing about the key and lets the bytes be proved later, so it is kept.
  secretHeaders: [],
  secretOptions: ['api_key', 'second_api_key'],
  parseOptions,
  create: (options, deps) => createSource(options as KnitOptions, deps),
}
