import { classify, TidemarkError } from '@tidemark/base'
import type { AccessCheck } from '@tidemark/connector'
import type { NamedSource } from '@tidemark/ingress'
import type { Config } from '../config.ts'
import type { CommandContext, CommandResult } from '../program.ts'
import { openSources } from '../runtime/sources.ts'

export interface CheckFlags {
  readonly integration?: string
  readonly json?: boolean
}

interface Checked {
  readonly source: string
  readonly integration: string
  readonly models: readonly AccessCheck[]
  /** Why nothing could be told. */
  readonly error: { readonly code: string; readonly message: string } | null
}

/**
 * Asks the providers what the configured credentials may read, model by model. Needs no running tidemark, and stores nothing. Exit code 0 only when
 * every model of every integration that was asked for may be read.
 */
export async function checkCommand(
  context: CommandContext,
  config: Config,
  name: string | undefined,
  flags: CheckFlags,
): CommandResult {
  const sources = openSources(config.sources, context)
  try {
    const chosen = sources.filter((source) => name === undefined || source.name === name)
    if (chosen.length === 0) throw nothingToCheck(name, sources)
    const results: Checked[] = []
    for (const source of chosen)
      for (const integration of integrationsOf(source, flags)) {
        const checked = await check(context, source, integration)
        results.push(checked)
        if (!flags.json) show(context, checked)
      }
    if (results.length === 0)
      throw new TidemarkError('CONFIG_INVALID', 'No integration is configured; give --integration <id>.')
    if (flags.json) context.print(JSON.stringify(results))
    return results.every(({ models, error }) => error === null && models.every(({ ok }) => ok)) ? 0 : 1
  } finally {
    await Promise.all(sources.map(({ source }) => source.close()))
  }
}

const integrationsOf = ({ source }: NamedSource, { integration }: CheckFlags): readonly string[] =>
  integration === undefined ? source.integrations : [integration]

function nothingToCheck(name: string | undefined, sources: readonly NamedSource[]): TidemarkError {
  const known = sources.map((source) => source.name).join(', ')
  if (known === '')
    return new TidemarkError('CONFIG_INVALID', 'No sources are configured; add one under `sources` of tidemark.yaml.')
  return new TidemarkError('CONFIG_INVALID', `There is no source "${name}"; the configuration has: ${known}`)
}

async function check(
  { note, signal }: CommandContext,
  { name, source }: NamedSource,
  integration: string,
): Promise<Checked> {
  const onRetry = ({ message }: { readonly message: string }): void => note(message)
  try {
    const models = await source.checkAccess({ integrationId: integration, signal, onRetry })
    return { source: name, integration, models, error: null }
  } catch (thrown) {
    const { code, message } = classify(thrown)
    return { source: name, integration, models: [], error: { code, message } }
  }
}

function show({ print, style }: CommandContext, { source, integration, models, error }: Checked): void {
  print(`${style.bold(integration)} ${style.dim(`(source ${source})`)}`)
  if (error) print(`  ${style.red('refused')} ${error.code}: ${error.message}`)
  const width = Math.max(0, ...models.map(({ model }) => model.length))
  for (const { model, ok, missing, message } of models) {
    const why = [missing === null ? null : `missing permission ${missing}`, message].filter((part) => part !== null)
    print(
      `  ${ok ? style.green('ok     ') : style.red('no     ')} ${model.padEnd(width)}  ${style.dim(why.join(': '))}`.trimEnd(),
    )
  }
}
