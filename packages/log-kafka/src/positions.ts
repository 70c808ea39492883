import type { Connection } from './connection.ts'
import { positionName, type Visibility } from './visibility.ts'

/** No member of the group: the generation of a plain commit. */
const NO_GENERATION = -1

/** Committed positions of groups, without joining them. */
export class Positions {
  readonly #connection: Connection
  readonly #visibility: Visibility

  constructor(connection: Connection, visibility: Visibility) {
    this.#connection = connection
    this.#visibility = visibility
  }

  /** See EventLog.positions. A topic that does not exist has none. */
  async read(group: string, topic: string): Promise<Map<number, number>> {
    const partitions = await this.#connection.partitionsOf(topic)
    if (!partitions) return new Map()
    const ids = partitions.map(({ partitionId }) => partitionId)
    const names = ids.map((id) => positionName(group, topic, id))
    const isVisible = (found: Map<number, number>): boolean =>
      ids.every((id, i) => (found.get(id) ?? 0) >= (this.#visibility.of(names[i]!) ?? 0))
    const found = await this.#visibility.read(names, () => this.#fetch(group, topic, ids), isVisible)
    for (const [i, id] of ids.entries()) this.#visibility.seen(names[i]!, found.get(id) ?? 0)
    return found
  }

  /** The position of one partition; undefined when there is none. */
  async readOne(group: string, topic: string, partition: number): Promise<number | undefined> {
    return (await this.#fetch(group, topic, [partition])).get(partition)
  }

  /** See EventLog.commitPositions. */
  async write(group: string, topic: string, positions: ReadonlyMap<number, number>): Promise<void> {
    if (positions.size === 0) return
    const partitions = [...positions].map(([partition, offset]) => ({
      partition,
      offset: String(offset),
      metadata: '',
    }))
    await this.#connection.onCoordinator(group, `Committing positions of ${group} in ${topic}`, (broker) =>
      broker.offsetCommit({
        groupId: group,
        groupGenerationId: NO_GENERATION,
        memberId: '',
        retentionTime: -1,
        topics: [{ topic, partitions }],
      }),
    )
    for (const partition of positions.keys()) this.#visibility.forget(positionName(group, topic, partition))
  }

  #fetch(group: string, topic: string, partitions: readonly number[]): Promise<Map<number, number>> {
    const topics = [{ topic, partitions: partitions.map((partition) => ({ partition })) }]
    return this.#connection.onCoordinator(group, `Reading positions of ${group} in ${topic}`, async (broker) => {
      const { responses } = await broker.offsetFetch({ groupId: group, topics })
      const found = responses.flatMap((one) => one.partitions)
      return new Map(
        found
          .map(({ partition, offset }) => [partition, Number(offset)] as const)
          .filter(([, offset]) => offset >= 0)
          .sort(([a], [b]) => a - b),
      )
    })
  }
}
