import { type Random, seededRandom } from '@tidemark/base'
import { type RecordKey, rootKey } from '@tidemark/model'
import { SimClock } from './clock.ts'
import { Company, type Op, type OpKind, type Row } from './company.ts'
import { Conditions } from './faults.ts'
import { History } from './history.ts'
import { Provider } from './provider.ts'
import type { Stage } from './stage.ts'
import { childModelOf, STREAMS, type StreamName, type Traits, traitsOf } from './traits.ts'
import { keysOf, Outbox, SIGNATURE } from './webhooks.ts'

export interface WorldOptions {
  readonly seed: number
  readonly integrations?: readonly string[]
  readonly traits?: Readonly<Record<StreamName, Traits>>
  /** Records of each kind at the beginning. */
  readonly size?: number
  /** Records on a page. Default 4. */
  readonly pageSize?: number
}

/** About how many of each kind there are. */
const SIZE = 13

/** Weights of what happens. */
const WEIGHTS: readonly (readonly [OpKind, number])[] = [
  ['create', 20],
  ['edit', 34],
  ['remove', 14],
  ['trash', 7],
  ['restore', 8],
  ['merge', 3],
  ['anonymize', 3],
  ['children', 12],
  ['list', 2],
]

/** Everything outside of tidemark: the provider, what happens there, and the webhooks that tell of it. */
export class World {
  readonly clock = new SimClock()
  readonly history = new History()
  readonly outbox = new Outbox()
  readonly companies: readonly Company[]
  readonly conditions: ReadonlyMap<string, Conditions>
  readonly provider: Provider
  /** When a webhook last said something about a record or what belongs to it, by the key of the root. */
  readonly #toldAt = new Map<RecordKey, number>()
  readonly ops = new Map<OpKind, number>()

  constructor({ seed, integrations = ['sim:a', 'sim:b'], traits, size = SIZE, pageSize = 4 }: WorldOptions) {
    const random = seededRandom(seed)
    const habits = traits ?? traitsOf(seed)
    const { clock, history } = this
    this.companies = integrations.map((integration) => new Company(integration, habits, { clock, history }))
    this.conditions = new Map(integrations.map((integration) => [integration, new Conditions()]))
    this.provider = new Provider({ companies: this.companies, conditions: this.conditions, clock, seed, pageSize })
    for (const company of this.companies)
      for (const stream of STREAMS) for (let i = 0; i < size; i++) company.create(stream, random)
  }

  conditionsOf(company: Company): Conditions {
    return this.conditions.get(company.integration) as Conditions
  }

  /** Something happens; a webhook may be on its way then. */
  act(random: Random, company = random.pick(this.companies), stream = random.pick(STREAMS)): void {
    const op = perform(draw(random, company.alive(stream).length), company, stream, random)
    if (op === undefined) return
    this.ops.set(op.kind, (this.ops.get(op.kind) ?? 0) + 1)
    this.outbox.announce(company, op, this.clock.now(), random)
  }

  /** Posts the webhooks that are due. */
  async deliver(stage: Stage): Promise<void> {
    for (const body of this.outbox.takeDue(this.clock.now())) {
      this.clock.tick()
      const status = await stage.receive({ url: '/webhooks/sim', payload: body, headers: { 'x-signature': SIGNATURE } })
      if (status !== 200) this.outbox.retry(body, this.clock.now())
      // Also one that was not acknowledged may have been stored.
      for (const key of keysOf(body)) this.#toldAt.set(rootKey(key), this.clock.now())
    }
  }

  /** Ingress begins again, and reads again what it was not done with: all of it may be told again now. */
  retell(): void {
    for (const root of this.#toldAt.keys()) this.#toldAt.set(root, this.clock.now())
  }

  /** Whether a webhook said something about a record, or what belongs to it, since a time. */
  wasToldSince(root: RecordKey, atMs: number): boolean {
    return (this.#toldAt.get(root) ?? Number.NEGATIVE_INFINITY) >= atMs
  }
}

/** What happens next: more comes when there is little, and less when there is much. */
function draw(random: Random, count: number): OpKind {
  if (count < SIZE - 4 && random.chance(0.5)) return 'create'
  const weights = WEIGHTS.filter(([kind]) => kind !== 'create' || count < SIZE + 8)
  let rest = random.next() * weights.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [kind, weight] of weights) {
    rest -= weight
    if (rest < 0) return kind
  }
  return 'edit'
}

/** Undefined when there is nothing that it could happen to. */
function perform(kind: OpKind, company: Company, stream: StreamName, random: Random): Op | undefined {
  if (kind === 'create') return company.create(stream, random)
  if (kind === 'restore') return company.restore(stream, random)
  const rows = company.alive(stream)
  if (rows.length < 2) return undefined
  const row = random.pick(rows)
  const hasChildren = childModelOf(stream) !== undefined
  switch (kind) {
    case 'remove':
      return company.remove(row)
    case 'trash':
      return company.traits[stream].hasTrash ? company.trash(row, random) : company.remove(row)
    case 'merge':
      return stream === 'candidates' ? company.merge(row, otherThan(row, rows, random)) : undefined
    case 'anonymize':
      return company.anonymize(row)
    case 'children':
      return hasChildren ? company.editChildren(row, random) : undefined
    case 'list':
      return hasChildren ? company.toggleList(row) : undefined
    default:
      return company.edit(row, random)
  }
}

const otherThan = (row: Row, rows: readonly Row[], random: Random): Row =>
  random.pick(rows.filter((other) => other !== row))
