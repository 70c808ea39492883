import type { EventLog } from '@tidemark/log'
import type { GroupPositions } from './format.ts'
import { inUse } from './preflight.ts'

/**
 * Position of every group while its import is under way: far behind any end. A processor that is started too early finds its input out of
 * range and stops, and whatever state it restored by then is of a later position than the true one: it will build it anew.
 */
export const IMPORTING = Number.MAX_SAFE_INTEGER

/** Says of all groups that they are being imported. Throws TOPIC_MISMATCH when a group is further than in the export: somebody works on the target. */
export async function claimPositions(log: EventLog, groups: readonly GroupPositions[]): Promise<void> {
  for (const group of groups) await checkBehind(log, group)
  for (const { group, topic, positions } of groups) {
    await log.commitPositions(group, topic, new Map(positions.map(([partition]) => [partition, IMPORTING])))
  }
}

/** Gives all groups their positions: from here on the target is complete. Throws as {@link claimPositions}. */
export async function settlePositions(log: EventLog, groups: readonly GroupPositions[]): Promise<void> {
  for (const group of groups) await checkBehind(log, group)
  for (const { group, topic, positions } of groups) await log.commitPositions(group, topic, new Map(positions))
}

async function checkBehind(log: EventLog, { group, topic, positions }: GroupPositions): Promise<void> {
  const there = await log.positions(group, topic)
  for (const [partition, position] of positions) {
    const found = there.get(partition)
    if (found === undefined || found === IMPORTING || found <= position) continue
    throw inUse(`${topic}/${partition}`, `the group ${group} stands at ${found}, in the export at ${position}`)
  }
}
