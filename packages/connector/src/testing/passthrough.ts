/** What passthrough promises, asked of every connector that has it. For tests only. */
import { describe } from 'vitest'
import type { Connector } from '../connector.ts'
import { usePassthroughRig } from './passthroughRig.ts'
import { safetyCases } from './passthroughSafety.ts'
import { sendingCases } from './passthroughSending.ts'
import type { PassthroughAbilities, PassthroughStandIn } from './passthroughStandIn.ts'

/** Runs the suite. `start` gives a fresh stand-in on loopback. */
export function passthroughContract(
  connector: Connector,
  start: () => Promise<PassthroughStandIn>,
  { hasTokens = false, hasForms = false }: PassthroughAbilities = {},
): void {
  describe(`passthrough of ${connector.name} keeps the contract`, () => {
    const rig = usePassthroughRig(connector, start, { hasTokens, hasForms })
    sendingCases(rig)
    safetyCases(rig)
  })
}
