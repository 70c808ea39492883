import type { Mapped, MappedRecord, MappingFailure } from '@tidemark/connector'
import { mappingFailure } from '@tidemark/connector/mapping'
import type { ModelName, RecordInputOf } from '@tidemark/model'
import type { Statuses } from './statuses.ts'

/** What mapping needs beside the provider's record. */
export interface MappingContext {
  readonly integrationId: string
  /** When the answer was received: decides which dates lie in the past. */
  readonly nowMs: number
  readonly statuses: Statuses
}

/** What rows map to, and which of their keys no table knows. */
export interface MappedRows {
  readonly mapped: Mapped
  /** One sentence for each key that was answered by a default. */
  readonly warnings: readonly string[]
}

/** Collects what the rows of one answer map to. */
export class Collector {
  readonly #records: MappedRecord[] = []
  readonly #failures: MappingFailure[] = []
  readonly #warnings = new Set<string>()

  /** Adds a record under its remote key. */
  add<M extends ModelName>(model: M, key: string, record: RecordInputOf<M>): void {
    this.#records.push({ model, remoteKey: key, kind: 'record', remoteVersion: null, record })
  }

  fail(model: ModelName, key: string | null, problem: string, item: unknown): void {
    this.#failures.push(mappingFailure('HR WORKS', model, key, problem, item))
  }

  warn(text: string): void {
    this.#warnings.add(text)
  }

  /** Maps row by row; one that cannot be mapped becomes a failure and its neighbours go on. */
  each(model: ModelName, rows: readonly unknown[], map: (row: unknown) => void): this {
    for (const row of rows) {
      try {
        map(row)
      } catch (error) {
        // Not foreseen by any rule (a structure nested without end, say); still only this record's problem.
        this.fail(model, null, `cannot be mapped: ${(error as Error).message}`, row)
      }
    }
    return this
  }

  get result(): MappedRows {
    const mapped = { records: this.#records, childLists: [], failures: this.#failures }
    return { mapped, warnings: [...this.#warnings] }
  }
}
