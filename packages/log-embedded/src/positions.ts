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
