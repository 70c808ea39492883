import { TidemarkError } from '@tidemark/base'
import { stringify } from 'yaml'
import { newApiKey } from '../apiKey.ts'
import { hashedKey } from '../config.ts'
import type { CommandContext } from '../program.ts'

export interface ApiKeyFlags {
  readonly name: string
  readonly json?: boolean
}

/** Makes an API key. Prints it once, with the lines of the configuration that let it in; nothing else keeps it. */
export function apiKeyCommand({ print, note, style, secureRandom }: CommandContext, flags: ApiKeyFlags): number {
  if (flags.name.trim() === '') throw new TidemarkError('CONFIG_INVALID', '--name: a key needs a name')
  const { key, hash } = newApiKey(secureRandom)
  const entry = { name: flags.name, key: hashedKey(hash) }
  if (flags.json) {
    print(JSON.stringify({ name: flags.name, key, hash: entry.key }))
    return 0
  }
  note(style.dim('the key; it is shown only now, and cannot be had from its hash:'))
  print(key)
  note(style.dim('for the configuration, where integrations, models and write: true may be added:'))
  print(stringify({ api_keys: [entry] }).trimEnd())
  return 0
}
