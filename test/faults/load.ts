import type { Random } from '@tidemark/base'
import type { OpenCodec } from '@tidemark/codec'
import { type Appendable, observationBuilder } from '@tidemark/testing'

/**
 * Observations of jobs, their stages and candidates, for ever: created, edited, repeated unchanged, deleted, observed late, and complete
 * lists of children. Few records and many observations of each, so that a lost or repeated one shows in all that follow.
 * Times begin at `startMs`: the present, because brokers remove records by these times.
 */
export function* observations(
  codec: OpenCodec,
  partitions: number,
  random: Random,
  startMs: number,
): Generator<Appendable, never> {
  const builder = observationBuilder(codec, partitions)
  for (let i = 0; ; i++) {
    const atMs = startMs + i * 100 - (random.chance(0.1) ? 5_000 : 0)
    const job = `j${random.int(20)}`
    const what = random.next()
    if (what < 0.05) {
      const children = [`s${random.int(4)}`, `s${random.int(4)}`]
      yield builder.childSweep({ model: 'job-stages', parent: [job], children, atMs })
    } else if (what < 0.1) {
      yield builder.observe({ model: 'jobs', remote: [job], atMs, fields: { kind: 'deleted' } })
    } else if (what < 0.3) {
      const remote = [job, `s${random.int(4)}`]
      yield builder.observe({ model: 'job-stages', remote, atMs, record: { index: random.int(3) } })
    } else if (what < 0.5) {
      const record = { name: `n${random.int(3)}`, status: random.pick(['OPEN', 'CLOSED']) }
      yield builder.observe({ model: 'jobs', remote: [job], atMs, record })
    } else {
      const record = { first_name: `n${random.int(5)}`, custom_fields: { a: random.int(3) } }
      yield builder.observe({ model: 'candidates', remote: [`c${random.int(60)}`], atMs, record })
    }
  }
}
