import { TidemarkError } from '@tidemark/base'
import type { Environment } from './environment.ts'
import { decodeNumber, encodeNumber, nameKey } from './rows.ts'

/** Positions of groups: (group, topic, partition) to next offset. */
function positionKey(group: string, topic: string, partition: number): Buffer {
  const number = Buffer.allocUnsafe(4)
  number.writeUInt32BE(partition)
  return Buffer.concat([nameKey(group, topic, ''), number])
}

/** Throws CONFIG_INVALID for names that cannot be part of a key. */
export function checkName(what: string, name: string): void {
  if (name.length > 0 && name.length <= 249 && !name.includes('\0')) return
  throw new TidemarkError(
    'CONFIG_INVALID',
    `${what} ${JSON.stringify(name)} must have 1 to 249 characters, none of them NUL.`,
  )
}

export function readPosition(environment: Environment, group: string, topic: string, partition: number): number {
  return decodeNumber(environment.groups.getBinary(positionKey(group, topic, partition)), 0)
}

export function readPositions(environment: Environment, group: string, topic: string): Map<number, number> {
  const prefix = nameKey(group, topic, '')
  const range = { start: prefix, end: Buffer.concat([prefix, Buffer.from([0xff, 0xff, 0xff, 0xff, 0])]) }
  const out = new Map<number, number>()
  for (const { key, value } of environment.groups.getRange(range)) {
    out.set(Buffer.from(key).readUInt32BE(prefix.length), decodeNumber(value, 0))
  }
  return out
}

/** Within a write transaction. */
export function writePosition(
  environment: Environment,
  group: string,
  topic: string,
  partition: number,
  position: number,
): void {
  environment.groups.put(positionKey(group, topic, partition), encodeNumber(position))
}

/** A group and a topic that it has positions in. */
export interface GroupTopic {
  readonly group: string
  readonly topic: string
}

/** Every group with every topic that it has positions in, in key order. */
export function readGroups(environment: Environment): GroupTopic[] {
  const found: GroupTopic[] = []
  for (const key of environment.groups.getKeys({})) {
    // The partition's four bytes may hold anything, NUL too: they are cut off first.
    const [group, topic] = Buffer.from(key).subarray(0, -4).toString().split('\0')
    const last = found.at(-1)
    if (group === undefined || topic === undefined || (last?.group === group && last.topic === topic)) continue
    found.push({ group, topic })
  }
  return found
}
