import { type Clock, type Random, TidemarkError } from '@tidemark/base'
import type { NamedSource } from '@tidemark/ingress'
import type { SourceConfig } from '../config.ts'
import { CONNECTORS } from './connectors.ts'
import { parseSchedule } from './sourceSchedule.ts'

/** Opens the configured sources; throws CONFIG_INVALID naming the source and the key that is wrong. */
export function openSources(
  configs: readonly SourceConfig[],
  deps: { readonly clock: Clock; readonly random: Random },
): NamedSource[] {
  return configs.map(({ name, connector: connectorName, schedule, ...options }) => {
    const connector = CONNECTORS.get(connectorName)
    if (connector === undefined) {
      const known = [...CONNECTORS.keys()].join(', ')
      throw new TidemarkError(
        'CONFIG_INVALID',
        `sources: ${name}: there is no connector "${connectorName}"; known: ${known}`,
        { fields: { key: 'connector' } },
      )
    }
    try {
      const timed = schedule === undefined ? {} : { schedule: parseSchedule(schedule) }
      return { name, connector, source: connector.create(connector.parseOptions({ name, ...options }), deps), ...timed }
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.code !== 'CONFIG_INVALID') throw error
      throw new TidemarkError('CONFIG_INVALID', `sources: ${name}: ${error.message}`, {
        cause: error,
        fields: error.fields,
      })
    }
  })
}
