import type { SweepReport } from '@tidemark/model'

/** The answers of all partitions to one control record. */
export interface Answers {
  readonly integrationId: string
  readonly syncId: string
  readonly model: string
  /** By partition; of those cut in parts the first. */
  readonly reports: readonly SweepReport[]
  /** Record keys of all parts. */
  readonly keys: readonly string[]
  /** To be called when what follows from the answers is durable. */
  readonly release: () => void
}

interface Group {
  readonly parts: Map<number, (SweepReport | undefined)[]>
  readonly releases: (() => void)[]
}

const newGroup = (): Group => ({ parts: new Map(), releases: [] })

/** Everything that tells one question from another; the answers to one say the same of these. */
const nameOf = (integrationId: string, report: SweepReport): string =>
  [integrationId, report.model, report.to, report.sync_id, report.fetch_started_at, report.confirmed_by].join('\0')

/** Gathers the answers of the partitions until all are there. An answer that comes again replaces the one before. */
export class AnswerGroups {
  readonly #groups = new Map<string, Group>()
  readonly #partitions: number

  constructor(partitions: number) {
    this.#partitions = partitions
  }

  /** Takes one answer; returns all of them when it is the last one that was missing. `release` lets its command go. */
  add(integrationId: string, report: SweepReport, release: () => void): Answers | null {
    const name = nameOf(integrationId, report)
    const group = this.#groups.get(name) ?? newGroup()
    this.#groups.set(name, group)
    group.releases.push(release)
    const parts = group.parts.get(report.partition) ?? []
    group.parts.set(report.partition, parts)
    parts[report.part] = report
    if (!this.#isComplete(group)) return null
    this.#groups.delete(name)
    const all = [...group.parts.entries()].sort(([a], [b]) => a - b).map(([, list]) => list as SweepReport[])
    return {
      integrationId,
      syncId: report.sync_id,
      model: report.model,
      reports: all.map((list) => list[0] as SweepReport),
      keys: all.flatMap((list) => list.flatMap(({ keys }) => keys)),
      release: () => {
        for (const each of group.releases) each()
      },
    }
  }

  /** Forgets groups of a model that will not become complete, and lets their commands go: those with an answer of which `isOver` says so. */
  forget(integrationId: string, model: string, isOver: (report: SweepReport) => boolean): void {
    for (const [name, { parts, releases }] of this.#groups) {
      if (!name.startsWith(`${integrationId}\0${model}\0`)) continue
      if (![...parts.values()].some((list) => list.some((report) => report !== undefined && isOver(report)))) continue
      this.#groups.delete(name)
      for (const release of releases) release()
    }
  }

  #isComplete({ parts }: Group): boolean {
    if (parts.size < this.#partitions) return false
    return [...parts.values()].every((list) => {
      const first = list[0]
      return (
        first !== undefined &&
        Array.from({ length: first.parts }, (_, i) => list[i]).every((part) => part !== undefined)
      )
    })
  }
}
