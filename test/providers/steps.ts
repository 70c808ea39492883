import { seededRandom } from '@tidemark/base'
import type { Play } from './play.ts'
import type { Side } from './side.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

type Step = (play: Play, side: Side) => Promise<void>

/** What the world and the operator do, with weights. */
const STEPS: readonly (readonly [Step, number])[] = [
  [live, 55],
  [passMinutes, 12],
  [leap, 5],
  [spoil, 20],
  [stir, 5],
  [rest, 8],
  [syncWhileBusy, 4],
  [kill, 2.5],
  [stayAway, 2],
  [cleanUp, 1],
]

/** One step at one of the providers, drawn by chance. */
export async function step(play: Play): Promise<void> {
  const side = play.random.pick(play.sides)
  let left = play.random.next() * STEPS.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [run, weight] of STEPS) {
    left -= weight
    if (left < 0) return await run(play, side)
  }
}

/** Lets the world go on between two pages of a fetch: records change, commands arrive, ingress is killed. */
export function liveBetweenPages(play: Play, seed: number): void {
  const random = seededRandom(seed + 77)
  play.sources.between = async (provider) => {
    if (play.isQuiet) return
    const side = play.sides.find((each) => each.provider === provider) as Side
    const often = (times: number): boolean => random.chance(Math.min(0.5, times / provider.answersOfRun))
    if (often(6)) play.act(side, random)
    if (often(0.15)) await play.stage.command(random.pick(['sync_full', 'sync_delta']), side.integration)
    if (often(0.03)) play.stage.killAfter(1 + random.int(40))
  }
}

async function live(play: Play, side: Side): Promise<void> {
  for (let n = 1 + play.random.int(5); n > 0; n--) play.act(side)
  await play.stage.drain()
}

async function passMinutes({ stage, random }: Play): Promise<void> {
  stage.clock.tick(MINUTE_MS + random.int(30 * MINUTE_MS))
  await stage.drain()
}

/** Hours, or days, as when a machine was asleep; then the schedule has its minutes. */
async function leap(play: Play): Promise<void> {
  const { stage, random } = play
  const hours = random.chance(0.3) ? 24 * (1 + random.int(9)) : 1 + random.int(20)
  play.note(`${hours} hours later`)
  stage.clock.tick(hours * HOUR_MS)
  await stage.pass(2 * MINUTE_MS)
}

async function spoil(play: Play, { provider }: Side): Promise<void> {
  for (let n = 1 + play.random.int(3); n > 0; n--) {
    play.counts.faults++
    play.note(`${provider.name}: ${provider.spoil(play.random)}`)
  }
  // Faults that are not used up by the next requests are over some time.
  if (play.random.chance(0.25)) {
    provider.mend()
    play.note(`${provider.name} is well`)
  }
}

async function stir(play: Play, side: Side): Promise<void> {
  const what = side.happen(() => side.provider.stir(play.random))
  play.note(`${side.provider.name}: ${what}`)
  await play.stage.drain()
}

async function rest(play: Play): Promise<void> {
  await play.settle()
}

async function syncWhileBusy(play: Play, side: Side): Promise<void> {
  await play.restart()
  await play.busySync(side)
}

/** Ingress is killed in the middle of what it does; sometimes it stays away for a while. */
async function kill(play: Play, side: Side): Promise<void> {
  const { stage, random } = play
  stage.killAfter(1 + random.int(200))
  play.note('ingress will be killed')
  if (random.chance(0.7)) await stage.command('sync_full', side.integration)
  await stage.drain()
  if (random.chance(0.6)) await play.restart()
}

/** Webhooks find nobody for a while. */
async function stayAway(play: Play): Promise<void> {
  play.sources.front.isAway = play.random.chance(0.6)
  play.note(`webhooks find ${play.sources.front.isAway ? 'nobody' : 'somebody'}`)
}

/** Somebody cleans up: many candidates are deleted at once. */
async function cleanUp(play: Play, side: Side): Promise<void> {
  const { company, world, integration, name } = side.provider
  const some = [...company.tables.candidates.values()].filter(() => play.random.chance(0.4))
  for (const { id } of some) side.happen(() => world.deleteCandidate(integration, id))
  play.note(`${some.length} candidates of ${name} were deleted`)
  await play.stage.drain()
}
