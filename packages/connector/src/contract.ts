/** What every connector promises, asked of it against a stand-in for its provider. For tests only. */
import { describe } from 'vitest'
import type { Connector } from './connector.ts'
import { answerCases } from './testing/answers.ts'
import { credentialCases } from './testing/credentials.ts'
import { htmlCases } from './testing/html.ts'
import { failureCases, listingCases } from './testing/listings.ts'
import { mappingCases } from './testing/mapping.ts'
import { permissionCases } from './testing/permissions.ts'
import { useRig } from './testing/rig.ts'
import { secretOptionCases } from './testing/secretOptions.ts'
import type { ContractOptions, StandIn } from './testing/standIn.ts'
import { streamCases } from './testing/streams.ts'
import { tenantCases } from './testing/tenants.ts'
import { webhookCases } from './testing/webhooks.ts'

export { allWritten } from './testing/allWritten.ts'
export { attachmentsContract } from './testing/attachments.ts'
export type { AttachmentsStandIn, FileAnswers } from './testing/attachmentsStandIn.ts'
export { passthroughContract } from './testing/passthrough.ts'
export { type ApiRequest, apiRequest, type PassthroughStandIn } from './testing/passthroughStandIn.ts'
export { drive } from './testing/rig.ts'
export {
  type Received,
  type Scripted,
  type ScriptedServer,
  startScriptedServer,
} from './testing/scriptedServer.ts'
export {
  type Account,
  type Answer,
  type ContractOptions,
  HTML,
  RATE_LIMIT_SECONDS,
  type RareAnswer,
  type Referring,
  STRANGER,
  type StandIn,
  type TokenAnswer,
} from './testing/standIn.ts'

/** Runs the suite. `start` gives a fresh stand-in on loopback. */
export function connectorContract(
  connector: Connector,
  start: () => Promise<StandIn>,
  { kind = 'pull', hasTokens = false }: ContractOptions = {},
): void {
  describe(`connector ${connector.name} keeps the contract`, () => {
    const rig = useRig(connector, start, { kind, hasTokens })
    describe('of listings', () => listingCases(rig))
    describe('of streams and point reads', () => streamCases(rig))
    describe('of mapping', () => mappingCases(rig))
    describe('of failures', () => failureCases(rig))
    describe('of answers that are none', () => answerCases(rig))
    describe('of credentials', () => credentialCases(rig))
    describe('of secrets among the options', () => secretOptionCases(rig, connector))
    describe('of HTML in the place of an answer', () => htmlCases(rig))
    describe('of permissions', () => permissionCases(rig))
    describe('of tenants', () => tenantCases(rig))
    describe('of webhooks', () => webhookCases(rig))
  })
}
