import { classify, TidemarkError } from '@tidemark/base'
import type { AssignmentOptions } from '@tidemark/log'
import { assignPartitions } from './assign.ts'
import { Connection, type ConnectionOptions } from './connection.ts'
import { atMost } from './deadline.ts'
import { typeOf } from './errors.ts'
import { AssignerProtocol, type GroupJoined } from './kafkajs.ts'

interface Generation {
  readonly id: number
  readonly memberId: string
  readonly partitions: readonly number[]
}

const PROTOCOL = 'tidemark-sticky'
const VERSION = 1
/** Others wait until every member has heard that the group is dealt anew. */
const BEAT_MS = 1000
const BACKOFF_MS = 500
const LEAVE_MS = 2000

/**
 * Shares partitions among the processes of a group by Kafka's own group protocol: membership only, no record is read through it. Unlike
 * kafkajs' consumer it tells when partitions are taken away, before anybody else gets them; keeps partitions where they were; and notices
 * by itself when the brokers stop answering. Resolves when the signal aborts, after leaving the group.
 */
export async function shareAssignments(connection: ConnectionOptions, options: AssignmentOptions): Promise<void> {
  await new Membership(connection, options).run()
}

class Membership {
  readonly #options: AssignmentOptions
  readonly #sessionMs: number
  readonly #revokeMs: number
  readonly #connection: Connection
  readonly #logger: ConnectionOptions['logger']
  #memberId = ''
  #owned: readonly number[] = []

  constructor(connection: ConnectionOptions, options: AssignmentOptions) {
    this.#options = options
    this.#logger = connection.logger
    this.#sessionMs = options.sessionTimeoutMs ?? 10_000
    this.#revokeMs = options.revokeTimeoutMs ?? this.#sessionMs / 2
    // Of its own: a join is answered when everybody has joined, and would hold up other requests on its connection.
    this.#connection = new Connection({
      ...connection,
      requestTimeoutMs: this.#sessionMs / 3,
      operationTimeoutMs: this.#sessionMs * 0.6,
      // A join is answered when everybody has joined, or the session of whoever has not is over.
      callTimeoutMs: this.#sessionMs * 2 + 10_000,
    })
  }

  async run(): Promise<void> {
    const { signal } = this.#options
    try {
      while (!signal.aborted) {
        const generation = await this.#join()
        if (generation) await this.#hold(generation)
        else await this.#connection.clock.sleep(BACKOFF_MS, signal)
      }
    } finally {
      await this.#leave()
      await this.#connection.close()
    }
  }

  /** undefined when it has to be tried again. */
  async #join(): Promise<Generation | undefined> {
    const { group, topic } = this.#options
    try {
      const partitions = await this.#connection.partitionsOf(topic)
      if (!partitions) throw new TidemarkError('TOPIC_UNKNOWN', `There is no topic ${topic} in Kafka. Create it first.`)
      const userData = Buffer.from(JSON.stringify(this.#owned))
      const metadata = AssignerProtocol.MemberMetadata.encode({ version: VERSION, topics: [topic], userData })
      const joined = await this.#connection.onCoordinator(group, `Joining group ${group}`, (broker) =>
        broker.joinGroup({
          groupId: group,
          memberId: this.#memberId,
          sessionTimeout: this.#sessionMs,
          rebalanceTimeout: this.#sessionMs,
          groupProtocols: [{ name: PROTOCOL, metadata }],
        }),
      )
      this.#memberId = joined.memberId
      const { memberAssignment } = await this.#connection.onCoordinator(group, `Joining group ${group}`, (broker) =>
        broker.syncGroup({
          groupId: group,
          generationId: joined.generationId,
          memberId: joined.memberId,
          groupAssignment: joined.leaderId === joined.memberId ? deal(joined, topic, partitions.length) : [],
        }),
      )
      const mine = AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment[topic] ?? []
      this.#owned = mine
      return { id: joined.generationId, memberId: joined.memberId, partitions: mine }
    } catch (error) {
      this.#onFailure(error, 'joining the group failed; it is tried again')
      return undefined
    }
  }

  /** Lets the owner work until the group is dealt anew, the membership is lost or ended. */
  async #hold(generation: Generation): Promise<void> {
    const { group, topic, signal, onAssigned } = this.#options
    const { clock } = this.#connection
    const revoked = new AbortController()
    const onAbort = (): void => revoked.abort()
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) revoked.abort()
    let failure: { readonly error: unknown } | undefined
    this.#logger?.info(
      { group, topic, partitions: generation.partitions, generation: generation.id },
      'partitions assigned',
    )
    const working = onAssigned(generation.partitions, revoked.signal).catch((error: unknown) => {
      failure = { error }
      revoked.abort()
    })
    try {
      while (!revoked.signal.aborted) {
        await clock.sleep(Math.min(BEAT_MS, this.#sessionMs / 4), revoked.signal)
        if (!revoked.signal.aborted && !(await this.#beat(generation))) revoked.abort()
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      await atMost(clock, this.#revokeMs, working)
    }
    if (failure) throw classify(failure.error)
  }

  /** False when the partitions are no longer this member's, or nobody said so for a session. */
  async #beat({ id, memberId }: Generation): Promise<boolean> {
    const { group } = this.#options
    try {
      await this.#connection.onCoordinator(group, `Heartbeat to group ${group}`, (broker) =>
        broker.heartbeat({ groupId: group, groupGenerationId: id, memberId }),
      )
      return true
    } catch (error) {
      this.#onFailure(error, 'the group is dealt anew')
      return false
    }
  }

  #onFailure(error: unknown, message: string): void {
    const type = typeOf(error)
    if (type !== 'REBALANCE_IN_PROGRESS') {
      // Whoever lost its membership comes back as a new member.
      this.#memberId = ''
      const failure = classify(error)
      if (failure.next !== 'retry') throw failure
    }
    this.#logger?.[type === undefined ? 'warn' : 'debug']({ group: this.#options.group, type, err: error }, message)
  }

  /** So that the others get the partitions now, not when the session is over. */
  async #leave(): Promise<void> {
    if (this.#memberId === '') return
    const { group } = this.#options
    const left = this.#connection.onCoordinator(group, `Leaving group ${group}`, (broker) =>
      broker.leaveGroup({ groupId: group, memberId: this.#memberId }),
    )
    await atMost(this.#connection.clock, LEAVE_MS, left)
  }
}

/** The leader's part: who gets what. */
function deal({ members }: GroupJoined, topic: string, partitions: number): object[] {
  const known = members.map(({ memberId, memberMetadata }) => ({ id: memberId, owned: ownedBy(memberMetadata) }))
  return [...assignPartitions(known, partitions)].map(([memberId, mine]) => ({
    memberId,
    memberAssignment: AssignerProtocol.MemberAssignment.encode({
      version: VERSION,
      assignment: { [topic]: mine },
      userData: Buffer.alloc(0),
    }),
  }))
}

function ownedBy(metadata: Buffer): number[] {
  try {
    const { userData } = AssignerProtocol.MemberMetadata.decode(metadata) ?? {}
    const owned: unknown = JSON.parse(String(userData ?? '[]'))
    return Array.isArray(owned) ? owned.filter((one): one is number => Number.isInteger(one)) : []
  } catch {
    // A member of another version: nothing is known about what it had.
    return []
  }
}
