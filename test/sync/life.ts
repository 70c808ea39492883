import type { Random } from '@tidemark/base'
import type { OpenCodec } from '@tidemark/codec'
import { createIngress, type Ingress, type NamedSource, type SweepGuard } from '@tidemark/ingress'
import type { EventLog, StateStore } from '@tidemark/log'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import { Activity } from './activity.ts'
import type { SimClock } from './clock.ts'
import { PARTITIONS } from './stage.ts'

/** Short, so that a fetch that hangs is soon over. */
const FETCH_TIMEOUT_MS = 180_000

/** A webhook that arrives: path with query, headers, body. */
export type Webhook = Required<Pick<InjectOptions, 'url' | 'headers' | 'payload'>>

export interface LifeDeps {
  readonly log: EventLog
  readonly codec: OpenCodec
  readonly state: StateStore
  readonly sources: readonly NamedSource[]
  readonly clock: SimClock
  readonly random: Random
  readonly guard: SweepGuard | undefined
  readonly concurrency: number | undefined
}

/** One life of ingress, from its start until it ends or is killed. */
export class IngressLife {
  readonly activity = new Activity()
  readonly ingress: Ingress
  readonly #app: FastifyInstance
  readonly #state: StateStore

  private constructor({ log, codec, state, sources, clock, random, guard, concurrency }: LifeDeps) {
    this.#state = state
    this.ingress = createIngress({
      ...{ codec, clock, random, logger: silentLogger, metrics: createMetrics(), partitions: PARTITIONS },
      ...{ log: this.activity.log(log), state: this.activity.state(state) },
      sources,
      fetchTimeoutMs: FETCH_TIMEOUT_MS,
      ...(guard === undefined ? {} : { guard }),
      ...(concurrency === undefined ? {} : { concurrency }),
    })
    this.#app = fastify()
    this.ingress.registerRoutes(this.#app)
  }

  static async begin(deps: LifeDeps): Promise<IngressLife> {
    const life = new IngressLife(deps)
    await life.ingress.start()
    return life
  }

  kill(): void {
    this.activity.cut()
  }

  /** Kills it at a call of its log or state to come; see {@link Activity.cutAfter}. */
  killAfter(halves: number): void {
    this.activity.cutAfter(halves)
  }

  /** Resolves when nothing of it runs any more. */
  async end(): Promise<void> {
    await this.ingress.stop()
    await this.#app.close()
    await this.#state.close()
  }

  /** The status with which a webhook was answered. */
  async receive(webhook: Webhook): Promise<number> {
    const response = await this.#app.inject({ method: 'POST', ...webhook })
    return response.statusCode
  }
}
