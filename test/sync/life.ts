import type { Random } from '@tidemark/base'
import type { OpenCodec } from '@tidemark/codec'
import type { Connector } from '@tidemark/connector'
import { createIngress, type Ingress, type SweepGuard } from '@tidemark/ingress'
import type { EventLog, StateStore } from '@tidemark/log'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import fastify, { type FastifyInstance } from 'fastify'
import { Activity } from './activity.ts'
import type { SimClock } from './clock.ts'
import type { Provider } from './provider.ts'
import { PARTITIONS } from './stage.ts'
import { SIGNATURE, type WebhookBody } from './webhooks.ts'

/** The connector that the provider belongs to; the source itself is made by the test. */
const simConnector: Connector = {
  name: 'sim',
  version: '1',
  secretHeaders: [],
  parseOptions: (options) => options,
  create: () => {
    throw new RangeError('made by the test')
  },
}

/** Short, so that a fetch that hangs is soon over. */
const FETCH_TIMEOUT_MS = 180_000

export interface LifeDeps {
  readonly log: EventLog
  readonly codec: OpenCodec
  readonly state: StateStore
  readonly provider: Provider
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

  private constructor({ log, codec, state, provider, clock, random, guard, concurrency }: LifeDeps) {
    this.#state = state
    this.ingress = createIngress({
      ...{ codec, clock, random, logger: silentLogger, metrics: createMetrics(), partitions: PARTITIONS },
      ...{ log: this.activity.log(log), state: this.activity.state(state) },
      sources: [{ name: 'sim', connector: simConnector, source: provider }],
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

  /** True when it was acknowledged. */
  async post(body: WebhookBody): Promise<boolean> {
    const response = await this.#app.inject({
      ...{ method: 'POST', url: '/webhooks/sim', payload: body, headers: { 'x-signature': SIGNATURE } },
    })
    return response.statusCode === 200
  }
}
