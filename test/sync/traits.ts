import type { ModelName } from '@tidemark/model'

export const STREAMS = ['jobs', 'candidates', 'applications', 'tags'] as const
/** Listings of the provider; each is named like the model that it is the origin of. */
export type StreamName = (typeof STREAMS)[number]

/** Models whose complete lists come with their parents. */
export const CHILD_OF = { jobs: 'job-stages', candidates: 'candidate-tags' } as const satisfies Partial<
  Record<StreamName, ModelName>
>

export const childModelOf = (stream: StreamName): ModelName | undefined =>
  stream === 'jobs' || stream === 'candidates' ? CHILD_OF[stream] : undefined

export const modelsOf = (stream: StreamName): readonly ModelName[] => {
  const child = childModelOf(stream)
  return child === undefined ? [stream] : [stream, child]
}

export const MODELS: readonly ModelName[] = STREAMS.flatMap(modelsOf)

/** Fields that the provider delivers, with values of their own. */
export const FIELDS: Readonly<Record<StreamName, readonly string[]>> = {
  jobs: ['name', 'status', 'category'],
  candidates: ['first_name', 'last_name', 'company', 'title'],
  applications: ['outcome', 'rejection_reason_name'],
  tags: ['name'],
}

/** What the provider can do with one of its listings. */
export interface Traits {
  /** `shifting`: by page number, what was changed last first. `stable`: by a cursor over ids. */
  readonly paging: 'stable' | 'shifting'
  /** It shows when a record was changed last. */
  readonly hasVersions: boolean
  readonly hasPointReads: boolean
  /** What is deleted stays listed for a while, flagged. */
  readonly hasTrash: boolean
}

/** One kind of listing each; what does not matter for its kind differs from seed to seed. */
export function traitsOf(seed: number): Readonly<Record<StreamName, Traits>> {
  const bit = (number: number): boolean => ((seed >> number) & 1) === 1
  return {
    jobs: { paging: bit(0) ? 'stable' : 'shifting', hasVersions: true, hasPointReads: true, hasTrash: bit(1) },
    candidates: { paging: 'shifting', hasVersions: bit(0), hasPointReads: true, hasTrash: true },
    applications: { paging: 'shifting', hasVersions: bit(1), hasPointReads: false, hasTrash: false },
    tags: { paging: 'stable', hasVersions: false, hasPointReads: false, hasTrash: false },
  }
}
