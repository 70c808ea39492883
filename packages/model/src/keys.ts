import { createHash } from 'node:crypto'
import { base58 } from '@tidemark/base'
import type { ModelName } from './generated/types.ts'
import { isModelName, PARENT_MODEL } from './models.ts'

/** Key of a record on every topic: `<integration_id>/<model>/<remote key>`, its parts escaped so that `/` and `:` only separate. */
export type RecordKey = string & { readonly __brand: 'RecordKey' }

const ESCAPES: Readonly<Record<string, string>> = { '%': '%25', '/': '%2F', ':': '%3A' }

/** Escapes one part of a remote key. */
export function escapeKeyPart(part: string): string {
  return /[%/:]/.test(part) ? part.replace(/[%/:]/g, (c) => ESCAPES[c] as string) : part
}

/**
 * Joins the parts of a composite remote key with `:`. A child's first part is its parent's remote key, so the
 * children of one parent are neighbours in the key order.
 */
export function remoteKey(...parts: string[]): string {
  return parts.map(escapeKeyPart).join(':')
}

/** The parts that {@link remoteKey} joined. */
export function remoteKeyParts(remote: string): string[] {
  return remote.split(':').map((part) => part.replace(/%3A/g, ':').replace(/%2F/g, '/').replace(/%25/g, '%'))
}

/** Builds a record key; `remote` comes from {@link remoteKey}. An integration id keeps its `:` (it only separates inside remote keys). */
export function recordKey(integrationId: string, model: ModelName, remote: string): RecordKey {
  return `${integrationId.replace(/[%/]/g, (c) => ESCAPES[c] as string)}/${model}/${remote}` as RecordKey
}

export interface RecordKeyParts {
  readonly integrationId: string
  readonly model: ModelName
  readonly remote: string
}

/** Splits a record key, or returns undefined for a key that is none. */
export function parseRecordKey(key: string): RecordKeyParts | undefined {
  const first = key.indexOf('/')
  const second = key.indexOf('/', first + 1)
  if (first <= 0 || second < 0) return undefined
  const model = key.slice(first + 1, second)
  if (!isModelName(model)) return undefined
  const integrationId = key.slice(0, first).replace(/%2F/g, '/').replace(/%25/g, '%')
  return { integrationId, model, remote: key.slice(second + 1) }
}

/** The key that decides the partition: the parent's for children, its own for all others. */
export function rootKey(key: RecordKey): RecordKey {
  const parts = parseRecordKey(key)
  const parent = parts && PARENT_MODEL[parts.model]
  if (!parts || !parent) return key
  const end = parts.remote.indexOf(':')
  return recordKey(parts.integrationId, parent, end < 0 ? parts.remote : parts.remote.slice(0, end))
}

/** Prefix of the keys of all children of one model under a parent. */
export function childPrefix(parentKey: RecordKey, childModel: ModelName): string {
  const parts = parseRecordKey(parentKey)
  if (!parts) throw new RangeError(`not a record key: ${parentKey}`)
  return `${recordKey(parts.integrationId, childModel, parts.remote)}:`
}

/** Public id: 24 base58 characters of SHA-256 over the record key; the same on every replay. */
export function publicId(key: RecordKey): string {
  return base58(createHash('sha256').update(key).digest(), 24)
}

/** Kafka's default partitioner: murmur2 over the key's UTF-8 bytes, sign bit cleared (org.apache.kafka.common.utils.Utils). */
export function partitionOf(root: string, partitions: number): number {
  return (murmur2(Buffer.from(root, 'utf8')) & 0x7fffffff) % partitions
}

/** 32-bit murmur2 with Kafka's seed. */
export function murmur2(data: Uint8Array): number {
  const m = 0x5bd1e995
  const length = data.length
  let h = 0x9747b28c ^ length
  const blocks = length >> 2
  for (let i = 0; i < blocks; i++) {
    const at = i << 2
    let k =
      (data[at] as number) |
      ((data[at + 1] as number) << 8) |
      ((data[at + 2] as number) << 16) |
      ((data[at + 3] as number) << 24)
    k = Math.imul(k, m)
    k ^= k >>> 24
    k = Math.imul(k, m)
    h = Math.imul(h, m) ^ k
  }
  const tail = blocks << 2
  const rest = length & 3
  if (rest === 3) h ^= (data[tail + 2] as number) << 16
  if (rest >= 2) h ^= (data[tail + 1] as number) << 8
  if (rest >= 1) {
    h ^= data[tail] as number
    h = Math.imul(h, m)
  }
  h ^= h >>> 13
  h = Math.imul(h, m)
  h ^= h >>> 15
  return h | 0
}
