import type { Random } from '@tidemark/base'
import type { Connector, Mapped } from '@tidemark/connector'
import type { ModelName } from '@tidemark/model'
import type { Company, Mutation, World } from '@tidemark/sandbox'
import type { SimClock } from '../sync/clock.ts'

/** Remote keys of the records that there are, by model. A model that is missing says nothing of its records. */
export type Existing = ReadonlyMap<ModelName, ReadonlySet<string>>

/** A simulator on loopback with its company, as the play deals with each of the four. */
export interface SimulatedProvider {
  /** Also of its connector and its source. */
  readonly name: string
  readonly integration: string
  readonly connector: Connector
  /** Of the connector. */
  readonly options: Readonly<Record<string, unknown>>
  readonly world: World
  readonly company: Company
  /** About how many answers a complete run takes: what happens between them is drawn for each. */
  readonly answersOfRun: number
  /** Called with everything that happens in the company, after the simulator. */
  onMutation: (mutation: Mutation) => void
  /** What the provider shows to whoever asks now, told from the company alone. */
  existing(): Existing
  /** Whether a complete reading leaves a record out that exists; documented in the connector's README. */
  isUnlisted(model: ModelName, remoteKey: string): boolean
  /** A model of which records may be shown that do not exist in the company any more. */
  readonly showsMoreOf?: ModelName
  /** Something goes wrong from now on, for a while; says what. */
  spoil(random: Random): string
  /** Nothing goes wrong from now on; what was lost stays lost. */
  mend(): void
  /** What the provider does by itself now and then, such as a run of its own. */
  stir(random: Random): string
  /** The provider's own copy of the company, where it has one, catches up. */
  catchUp(): void
  /** Events with records that the provider will still try to deliver. */
  readonly open: number
  /** Where webhooks go that are not subscribed to through the source. */
  setWebhookTarget(url: string): void
  /** Resolves when no webhook is being sent; those that wait for another try are not waited for. */
  settled(): Promise<void>
  /** Everything, read by a fresh connector while nothing goes wrong. */
  readAll(): Promise<readonly Mapped[]>
  stop(): Promise<void>
}

export interface ProviderOptions {
  readonly clock: SimClock
  readonly seed: number
}

export type StartProvider = (options: ProviderOptions) => Promise<SimulatedProvider>
