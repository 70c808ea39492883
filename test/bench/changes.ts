import { seededRandom } from '@tidemark/base'
import { compileRecord, frameHeader, type OpenCodec, Writer } from '@tidemark/codec'
import type { AppendRecord, EventLog } from '@tidemark/log'
import {
  type AvroRecord,
  changesTopic,
  type Models,
  normalizeRecord,
  PUBLISHED_SCHEMAS,
  partitionOf,
  publicId,
  type RecordKey,
  recordKey,
} from '@tidemark/model'
import { candidateId, candidateInput } from './candidates.ts'

export const CHANGE_PARTITIONS = 12
export const CHANGE_INTEGRATION = 'kombo:8d1hp'

/**
 * Appends `records` changes of candidates (70 % created, 30 % updated), scattered over the partitions, as the diff processor would. Returns the
 * bytes of their values.
 */
export async function appendChanges(log: EventLog, codec: OpenCodec, records: number): Promise<number> {
  const topic = changesTopic('candidates')
  const subject = `${topic}-value`
  const { write } = compileRecord(JSON.parse(PUBLISHED_SCHEMAS[subject]?.at(-1) as string) as AvroRecord)
  const header = frameHeader(codec.schemaId(subject))
  const versions = new Uint16Array(records)
  const random = seededRandom(1)
  let created = 0
  let bytes = 0
  let batch: AppendRecord[] = []
  for (let n = 0; n < records; n++) {
    const isNew = n % 10 < 7
    const who = isNew ? created++ : random.int(created)
    const version = (versions[who] as number) + 1
    versions[who] = version
    const remote = candidateId(who)
    const key = recordKey(CHANGE_INTEGRATION, 'candidates', remote)
    const writer = new Writer(1024)
    writer.raw(header, 0, 5)
    write(writer, changeOf(who, remote, key, version, n))
    const value = writer.take()
    bytes += value.length
    const partition = partitionOf(key, CHANGE_PARTITIONS)
    batch.push({ topic, partition, key: Buffer.from(key), value, timestampMs: 1_770_000_000_000 + n })
    if (batch.length === 5000) {
      await log.append(batch)
      batch = []
    }
  }
  await log.append(batch)
  return bytes
}

/** One candidate in a state: as bench `embedded` has them, normalized once for many. */
const TEMPLATES = Array.from(
  { length: 500 },
  (_, n) => normalizeRecord('candidates', { id: candidateId(n), ...candidateInput(n) }).record,
)

function stateOf(who: number, remote: string, key: RecordKey, edit: number): Models['candidates'] {
  const template = TEMPLATES[who % TEMPLATES.length] as Models['candidates']
  return {
    ...template,
    id: publicId(key),
    remote_id: remote,
    title: `${template.title} ${edit}`,
    email_addresses: [{ email_address: `candidate.${who}@example.com`, type: 'PRIVATE' }],
    remote_url: `https://ats.example.com/candidates/${who}`,
  }
}

function changeOf(who: number, remote: string, key: RecordKey, version: number, n: number): object {
  const after = stateOf(who, remote, key, version)
  const before = version === 1 ? null : stateOf(who, remote, key, version - 1)
  const at = 1_770_000_000_000 + n
  const changes =
    before === null
      ? []
      : [{ path: '/title', op: 'replace', before: JSON.stringify(before.title), after: JSON.stringify(after.title) }]
  const cause = {
    kind: 'full_sync',
    sync_id: 'sync-2026-02-02',
    event_name: null,
    event_id: null,
    actor: null,
    raw: { partition: 0, offset: n },
    evidence: null,
    observed: { partition: 0, offset: n },
    previous_seen_at: before === null ? null : at - 1000,
    first_seen_at: at,
  }
  return {
    event_id: `0-${n}`,
    integration_id: CHANGE_INTEGRATION,
    id: after.id,
    remote_id: remote,
    version,
    op: version === 1 ? 'created' : 'updated',
    changed_at: at,
    remote_changed_at: after.remote_updated_at,
    merged_into_id: null,
    cause,
    changes,
    before,
    after,
  }
}
