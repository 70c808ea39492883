import type { Clock } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { Mapped, Paging, Source } from '@tidemark/connector'
import type { EventLog } from '@tidemark/log'
import { type ModelName, PARENT_MODEL, partitionOf, type RecordKey, rootKey, syncEvent } from '@tidemark/model'
import type { Unread } from '../observe.ts'
import type { SyncLog } from '../syncLog.ts'
import { controlRecords, type SweepScope } from './controls.ts'

export interface FullListingDeps {
  readonly log: EventLog
  readonly codec: Codec
  readonly clock: Clock
  readonly partitions: number
  readonly syncLog: SyncLog
}

export interface FullListingOf {
  readonly source: string
  readonly integrationId: string
  readonly stream: string
  readonly syncId: string
  readonly causeKind: string
}

/** Keys of records that could not be read, which a run may leave to their neighbours; with more it says nothing about what is gone. */
const SPARED_MAX = 1000

interface Scope {
  readonly model: ModelName
  readonly beginOffsets: readonly number[]
  readonly spared: Set<string>
  /** Why this run says nothing about what is gone. */
  blind: string | null
}

/** Models of a stream whose complete listing tells what is gone. Children are told by their parent's lists, and go with it. */
export const sweptModels = (source: Pick<Source, 'modelsOf' | 'sweptModelsOf'>, stream: string): ModelName[] =>
  (source.sweptModelsOf ?? source.modelsOf)(stream).filter((model) => PARENT_MODEL[model] === undefined)

/**
 * A complete listing under way: it begins with sweep_begin on every partition, before the first page is asked for, takes note of what could not be
 * read, and ends with sweep_end. One that is not ended sweeps nothing.
 */
export class FullListing {
  readonly #deps: FullListingDeps
  readonly #of: FullListingOf
  readonly #scopes: readonly Scope[]
  readonly #startedAtMs: number
  readonly #paging: Paging
  #pages = 0
  #ending: Promise<ModelName[]> | undefined
  readonly #records = new Map<ModelName, number>()

  private constructor(
    deps: FullListingDeps,
    of: FullListingOf,
    scopes: readonly Scope[],
    startedAtMs: number,
    paging: Paging,
  ) {
    this.#deps = deps
    this.#of = of
    this.#scopes = scopes
    this.#startedAtMs = startedAtMs
    this.#paging = paging
  }

  /** Durable when resolved. */
  static async begin(deps: FullListingDeps, of: FullListingOf, source: Source): Promise<FullListing> {
    const startedAtMs = deps.clock.now()
    const scopes = await Promise.all(
      sweptModels(source, of.stream).map(async (model): Promise<Scope> => {
        const begin = {
          ...scopeOf(of, model),
          kind: 'sweep_begin',
          fetchStartedAtMs: startedAtMs,
          atMs: startedAtMs,
        } as const
        const beginOffsets = await deps.log.append(controlRecords(deps.codec, deps.partitions, begin))
        return { model, beginOffsets, spared: new Set(), blind: null }
      }),
    )
    return new FullListing(deps, of, scopes, startedAtMs, source.pagingOf(of.stream))
  }

  /** A page is stored, with what of it could not be read. */
  page(mapped: Mapped, unread: readonly Unread[]): void {
    this.#pages++
    for (const { model } of mapped.records) this.#records.set(model, (this.#records.get(model) ?? 0) + 1)
    for (const scope of this.#scopes) {
      if (mapped.incompleteModels?.includes(scope.model))
        scope.blind ??= `a page did not show all ${scope.model} that it knows of`
      for (const { model, key } of unread) if (model === scope.model || model === null) spare(scope, key)
    }
  }

  /**
   * Every page has arrived, and a run that it belongs to has succeeded, in whose name it is swept. Durable when resolved, also for the runs that come
   * after the first one, with the models that are swept in this one's name.
   */
  async end(syncId: string): Promise<ModelName[]> {
    if (this.#ending) {
      await this.#ending
      return []
    }
    this.#ending = this.#end({ ...this.#of, syncId })
    return await this.#ending
  }

  async #end(of: FullListingOf): Promise<ModelName[]> {
    const { log, codec, clock, partitions } = this.#deps
    const swept: ModelName[] = []
    for (const scope of this.#scopes) {
      if (scope.blind !== null) {
        await this.#skip(of, scope)
        continue
      }
      const { beginOffsets, spared, model } = scope
      const end = {
        ...scopeOf(of, model),
        kind: 'sweep_end',
        fetchStartedAtMs: this.#startedAtMs,
        atMs: clock.now(),
        pages: this.#pages,
        records: this.#records.get(model) ?? 0,
        partitions: beginOffsets.map((beginOffset, partition) => ({
          beginOffset,
          spared: [...spared].filter((key) => partitionOf(rootKey(key as RecordKey), partitions) === partition),
        })),
        // What fits in one answer cannot shift.
        namesSuspects: this.#paging === 'partial' || (this.#paging === 'shifting' && this.#pages > 1),
      } as const
      await log.append(controlRecords(codec, partitions, end))
      swept.push(model)
    }
    return swept
  }

  async #skip({ integrationId, source, stream, syncId }: FullListingOf, { model, blind }: Scope): Promise<void> {
    const message = `What is gone of ${model} cannot be told from this run: ${blind}.`
    await this.#deps.syncLog.append(
      syncEvent({
        ...{ source, integration_id: integrationId, event: 'swept', at: this.#deps.clock.now(), sync_id: syncId },
        ...{ kind: 'full', stream, model, state: 'SKIPPED', message },
      }),
    )
  }
}

const scopeOf = ({ integrationId, syncId, causeKind }: FullListingOf, model: ModelName): SweepScope => ({
  integrationId,
  model,
  syncId,
  causeKind,
})

function spare(scope: Scope, key: string | null): void {
  if (key === null) scope.blind ??= 'a record could not be read, and it is not known which one'
  else scope.spared.add(key)
  if (scope.spared.size > SPARED_MAX) scope.blind ??= `more than ${SPARED_MAX} records could not be read`
}
