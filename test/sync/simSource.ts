import type { Connector } from '@tidemark/connector'
import type { NamedSource } from '@tidemark/ingress'
import type { Provider } from './provider.ts'

/** The connector that the provider belongs to; the source itself is made by the test. */
const simConnector: Connector = {
  name: 'sim',
  version: '1',
  secretHeaders: [],
  secretOptions: [],
  parseOptions: (options) => options,
  create: () => {
    throw new RangeError('made by the test')
  },
}

/** The provider as ingress is configured with it. */
export const simSource = (provider: Provider): NamedSource => ({
  name: 'sim',
  connector: simConnector,
  source: provider,
})
