import { TidemarkError } from '@tidemark/base'
import type { NamedSource } from '@tidemark/ingress'
import type { Config } from '../config.ts'
import type { CommandContext, CommandResult } from '../program.ts'
import { openSources } from '../runtime/sources.ts'
import { webhookUrl } from '../runtime/subscriptions.ts'

export interface SubscriptionsFlags {
  readonly remove?: boolean
  readonly json?: boolean
}

/**
 * Has a source's provider send its webhooks to this tidemark, or no longer. Needs no running tidemark. Either may be repeated: what is as it should be
 * is left alone. Throws CONFIG_INVALID for an unknown source, one whose webhooks are set up by hand, and without a public URL.
 */
export async function subscriptionsCommand(
  context: CommandContext,
  config: Config,
  name: string,
  { remove = false, json = false }: SubscriptionsFlags,
): CommandResult {
  const { print, note, signal } = context
  const chosen = config.sources.filter((source) => source.name === name)
  if (chosen.length === 0) throw unknownSource(name, config)
  const sources = openSources(chosen, context)
  try {
    const source = sources[0] as NamedSource
    const { subscriptions } = source.source
    if (!subscriptions) throw byHand(source, config.public_url)
    if (config.public_url === undefined) throw noPublicUrl(name)
    const url = webhookUrl(config.public_url, name)
    const options = { url, signal, onRetry: ({ message }: { readonly message: string }): void => note(message) }
    const done = await (remove ? subscriptions.remove(options) : subscriptions.ensure(options))
    print(json ? JSON.stringify({ source: name, url, action: remove ? 'remove' : 'ensure', done }) : `${url}: ${done}`)
    return 0
  } finally {
    await Promise.all(sources.map(({ source }) => source.close()))
  }
}

function unknownSource(name: string, { sources }: Config): TidemarkError {
  const known = sources.map((source) => source.name).join(', ')
  if (known === '')
    return new TidemarkError('CONFIG_INVALID', 'No sources are configured; add one under `sources` of tidemark.yaml.')
  return new TidemarkError('CONFIG_INVALID', `There is no source "${name}"; the configuration has: ${known}`)
}

function byHand({ name, connector }: NamedSource, publicUrl: string | undefined): TidemarkError {
  const url = webhookUrl(publicUrl ?? 'https://<your host>', name)
  return new TidemarkError(
    'CONFIG_INVALID',
    `sources: ${name}: webhooks of ${connector.name} sources are set up and removed by hand, at the provider, for ${url}; see the README of the connector`,
  )
}

const noPublicUrl = (name: string): TidemarkError =>
  new TidemarkError(
    'CONFIG_INVALID',
    `public_url: it is not configured, so nobody knows where the webhooks of ${name} are sent to; add public_url: https://<your host>`,
    { fields: { key: 'public_url' } },
  )
