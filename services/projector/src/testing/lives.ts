/** Changes for the tests of a rebuild: every model, every operation. */
import { MODEL_NAMES, type ModelName, type RecordInput } from '@tidemark/model'
import type { ChangeMaker, MadeChange } from '@tidemark/projection/testing'
import { canonicalRecord } from '@tidemark/testing'
import fc from 'fast-check'

export const INTEGRATION = 'traffit:a'

/** Models whose records have a parent, which stands in their key. */
const CHILDREN =
  /^(job-stages|job-hiring-team|job-screening-questions|job-role-assignments|candidate-tags|interview-users|user-roles)$/

const remoteOf = (model: ModelName, n: number): string => (CHILDREN.test(model) ? `${n}:x` : String(n))

/** Records of all models that are created, changed, deleted, restored and purged; the same for the same seed. */
export function livesOfAll(maker: ChangeMaker, records: number, steps: number, seed = 1): MadeChange[] {
  const made: MadeChange[] = []
  for (const model of MODEL_NAMES) {
    const states = fc.sample(canonicalRecord(model), { numRuns: records * steps, seed })
    for (const [n, { record }] of states.entries()) {
      const one = n % records
      const input = (n + one) % 7 === 6 ? null : withoutIdentity(record)
      const gone = (n + one) % 5 === 4 ? n + 1 : null
      made.push(maker.make(INTEGRATION, model, remoteOf(model, one), input && { ...input, remote_deleted_at: gone }))
    }
  }
  return made
}

/** Fields of a record but those that its key decides. */
function withoutIdentity(record: object): RecordInput {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== 'id' && name !== 'remote_id'))
}
