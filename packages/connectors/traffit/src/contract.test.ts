import { connectorContract } from '@tidemark/connector/contract'
import { startStandIn } from '../test/standIn.ts'
import { connector } from './index.ts'

connectorContract(connector, startStandIn, { hasTokens: true })
