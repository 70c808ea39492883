import type { OpenCodec } from '@tidemark/codec'
import type { AppendRecord, EventLog } from '@tidemark/log'
import { OBSERVED_TOPIC } from '@tidemark/model'
import { observationBuilder } from '@tidemark/testing/observations'
import { candidateId, candidateInput } from './candidates.ts'

/** A step of the benchmark observes every candidate once: `a` with all of them changed, `m` (mixed) with one in twenty. */
export type Step = 'a' | 'm'

const MIXED = 20
const BATCH = 2000

/** Which edit a candidate shows after the steps: each step edits the candidates it changes to its own number. */
function editAfter(steps: readonly Step[], n: number): number {
  for (let i = steps.length - 1; i >= 0; i--) if (steps[i] === 'a' || n % MIXED === i % MIXED) return i
  return 0
}

export interface Generate {
  readonly steps: readonly Step[]
  /** Candidates from this number up to, not including, that one. */
  readonly from: number
  readonly to: number
  readonly partitions: number
  /** When it all begins. Brokers remove what is old by these times: not in the past. */
  readonly startMs: number
}

/** Appends one observation of every candidate, as they are after the steps. */
export async function generate(log: EventLog, codec: OpenCodec, options: Generate): Promise<void> {
  const { steps, from, to, partitions, startMs } = options
  const builder = observationBuilder(codec, partitions)
  let batch: AppendRecord[] = []
  for (let n = from; n < to; n++) {
    const atMs = startMs + steps.length * 10_000_000 + n
    const record = candidateInput(n, editAfter(steps, n))
    batch.push(builder.observe({ model: 'candidates', remote: [candidateId(n)], atMs, record }))
    if (batch.length === BATCH || n === to - 1) {
      await log.append(batch)
      batch = []
    }
  }
}

/** The offset after the last observation, by partition. */
export async function endsOf(log: EventLog, partitions: number): Promise<number[]> {
  const bounds = await Promise.all(Array.from({ length: partitions }, (_, p) => log.bounds(OBSERVED_TOPIC, p)))
  return bounds.map(({ end }) => end)
}
