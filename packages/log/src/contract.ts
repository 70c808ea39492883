import { describe } from 'vitest'
import { assignmentCases } from './testing/assignments.ts'
import { cleanupCases } from './testing/cleanup.ts'
import type { LogCapabilities, LogHarness } from './testing/harness.ts'
import { modelCases } from './testing/model.ts'
import { recordCases } from './testing/records.ts'
import { taskCases } from './testing/tasks.ts'
import { topicCases } from './testing/topics.ts'
import { waitCases } from './testing/waits.ts'

export type { Capability, LogCapabilities, LogHarness, StateHarness } from './testing/harness.ts'
export { stateContract } from './testing/state.ts'

/**
 * Registers the contract of the EventLog port as vitest cases. `open` gives each case a log of its own, or a shared one with a
 * `topicPrefix` of its own. What an adapter cannot do is skipped for a reason that it writes down.
 */
export function logContract(name: string, open: () => Promise<LogHarness>, capabilities: LogCapabilities): void {
  describe(`${name}, as event log`, () => {
    topicCases(open, capabilities)
    recordCases(open, capabilities)
    waitCases(open)
    taskCases(open, capabilities)
    assignmentCases(open)
    cleanupCases(open, capabilities)
    modelCases(open, capabilities)
  })
}
