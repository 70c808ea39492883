import { compileRecord, frameHeader, type OpenCodec, Writer } from '@tidemark/codec'
import type { AppendRecord, EventLog } from '@tidemark/log'
import {
  type AvroRecord,
  changesTopic,
  type ModelName,
  normalizeRecord,
  PUBLISHED_SCHEMAS,
  partitionOf,
  type RecordInput,
  recordKey,
  remoteKey,
  rootKey,
} from '@tidemark/model'
import { candidateId, candidateInput } from './candidates.ts'
import { CHANGE_INTEGRATION, CHANGE_PARTITIONS } from './changes.ts'

/** Of every size: one candidate for four applications, a job for a thousand, eight stages. */
const PER_CANDIDATE = 4
const PER_JOB = 1000
const STAGES = 8
export const FIRST_MS = 1_770_000_000_000
/** Between neighbouring changes. */
export const STEP_MS = 10

interface Made {
  readonly model: ModelName
  readonly remote: readonly string[]
  readonly record: RecordInput
}

const jobId = (n: number): string => `job-${n}`
const stageId = (n: number): string => `stage-${n}`

function* company(applications: number): Generator<Made> {
  const jobs = Math.ceil(applications / PER_JOB)
  for (let n = 0; n < STAGES; n++)
    yield { model: 'application-stages', remote: [stageId(n)], record: { id: stageId(n), name: `Stage ${n}` } }
  for (let n = 0; n < jobs; n++) {
    yield { model: 'jobs', remote: [jobId(n)], record: { id: jobId(n), name: `Job ${n}`, status: 'OPEN' } }
    for (let s = 0; s < STAGES; s++)
      yield {
        model: 'job-stages',
        remote: [jobId(n), stageId(s)],
        record: { job_id: jobId(n), stage_id: stageId(s), index: s },
      }
  }
  for (let n = 0; n * PER_CANDIDATE < applications; n++)
    yield { model: 'candidates', remote: [candidateId(n)], record: { ...candidateInput(n), id: candidateId(n) } }
  for (let n = 0; n < applications; n++) yield application(n, n % STAGES)
  // A tenth have moved on since: what they were is history.
  for (let n = 0; n < applications; n += 10) yield application(n, (n + 1) % STAGES)
}

const application = (n: number, stage: number): Made => ({
  model: 'applications',
  remote: [candidateId(1_000_000 + n)],
  record: {
    id: candidateId(1_000_000 + n),
    remote_id: String(n),
    outcome: 'PENDING',
    current_stage_id: stageId(stage),
    job_id: jobId(Math.floor(n / PER_JOB)),
    candidate_id: candidateId(Math.floor(n / PER_CANDIDATE)),
    screening_question_answers: [],
    remote_url: `https://ats.example.com/applications/${n}`,
    remote_created_at: FIRST_MS,
  },
})

/** Appends the changes of a company with so many applications. Returns how many there are. */
export async function appendCompany(log: EventLog, codec: OpenCodec, applications: number): Promise<number> {
  const writers = new Map<ModelName, (out: Writer, value: unknown) => void>()
  const last = new Map<string, { readonly version: number; readonly record: unknown }>()
  let count = 0
  let batch: AppendRecord[] = []
  for (const made of company(applications)) {
    batch.push(changeOf(codec, writers, last, made, count++))
    if (batch.length < 5000) continue
    await log.append(batch)
    batch = []
  }
  if (batch.length > 0) await log.append(batch)
  return count
}

function changeOf(
  codec: OpenCodec,
  writers: Map<ModelName, (out: Writer, value: unknown) => void>,
  last: Map<string, { readonly version: number; readonly record: unknown }>,
  { model, remote, record }: Made,
  n: number,
): AppendRecord {
  const subject = `${changesTopic(model)}-value`
  const write =
    writers.get(model) ?? compileRecord(JSON.parse(PUBLISHED_SCHEMAS[subject]?.at(-1) as string) as AvroRecord).write
  writers.set(model, write)
  const key = recordKey(CHANGE_INTEGRATION, model, remoteKey(...remote))
  const after = normalizeRecord(model, { id: remote.join('-'), ...record }).record
  const before = last.get(key)
  if (model === 'applications') last.set(key, { version: (before?.version ?? 0) + 1, record: after })
  const at = FIRST_MS + n * STEP_MS
  const out = new Writer(1024)
  out.raw(frameHeader(codec.schemaId(subject)), 0, 5)
  write(out, {
    event_id: `0-${n}`,
    integration_id: CHANGE_INTEGRATION,
    id: after.id,
    remote_id: 'remote_id' in after ? after.remote_id : null,
    version: (before?.version ?? 0) + 1,
    op: before ? 'updated' : 'created',
    changed_at: at,
    remote_changed_at: null,
    merged_into_id: null,
    cause: {
      ...{
        kind: 'full_sync',
        sync_id: 'sync-1',
        event_name: null,
        event_id: null,
        actor: null,
        raw: null,
        evidence: null,
      },
      ...{ observed: { partition: 0, offset: n }, previous_seen_at: null, first_seen_at: at },
    },
    changes: before ? [{ path: '/current_stage_id', op: 'replace', before: '""', after: '""' }] : [],
    before: before?.record ?? null,
    after,
  })
  const partition = partitionOf(rootKey(key), CHANGE_PARTITIONS)
  return { topic: changesTopic(model), partition, key: Buffer.from(key), value: out.take(), timestampMs: at }
}
