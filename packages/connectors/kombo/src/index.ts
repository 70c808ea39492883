import type { Connector } from '@tidemark/connector'
import { type KomboOptions, parseOptions } from './options.ts'
import { createSource } from './source.ts'

/** Kombo's unified ATS API: signed hints by webhook, listings by cursor. */
export const connector: Connector = {
  name: 'kombo',
  version: '0.1.0',
  // The signature of a stored webhook reveals nothing about the secret and lets the bytes be proved later, so it is kept.
  secretHeaders: [],
  secretOptions: ['api_key', 'webhook_secret'],
  parseOptions,
  create: (options, deps) => createSource(options as KomboOptions, deps),
}
