import type { Connector } from '@tidemark/connector'
import { connector as hrworks } from '@tidemark/connector-hrworks'
import { connector as knit } from '@tidemark/connector-knit'
import { connector as kombo } from '@tidemark/connector-kombo'
import { connector as traffit } from '@tidemark/connector-traffit'

/** Every connector this build knows, by its name in the configuration. */
export const CONNECTORS: ReadonlyMap<string, Connector> = new Map(
  [kombo, traffit, hrworks, knit].map((connector) => [connector.name, connector]),
)
