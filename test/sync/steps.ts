import type { Company } from './company.ts'
import type { Play } from './play.ts'
import { isDeleted, readTables, rowOf } from './tables.ts'
import { STREAMS, type StreamName } from './traits.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

type Step = (play: Play) => Promise<void>

/** What the world and the operator do, with weights. */
const STEPS: readonly (readonly [Step, number])[] = [
  [live, 60],
  [passMinutes, 10],
  [leap, 5],
  [rest, 8],
  [break_, 4],
  [syncWhileBusy, 5],
  [standStill, 1],
  [kill, 2],
  [decide, 3],
  [deleteMany, 0.7],
  [showLittle, 1.2],
]

/** One step, drawn by chance. */
export async function step(play: Play): Promise<void> {
  let rest = play.random.next() * STEPS.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [run, weight] of STEPS) {
    rest -= weight
    if (rest < 0) return await run(play)
  }
}

/** Lets the world go on between two pages of a fetch: records change, webhooks and commands arrive, ingress is killed. */
export function liveBetweenPages({ world, stage }: Play): void {
  world.provider.between = async ({ company, stream }, chance) => {
    const isNear = chance.chance(0.7)
    for (let n = chance.int(3); n > 0; n--) world.act(chance, company, isNear ? stream : chance.pick(STREAMS))
    if (chance.chance(0.3)) await world.deliver(stage)
    if (chance.chance(0.01)) await stage.command(chance.pick(['sync_full', 'sync_delta']), company.integration)
    if (chance.chance(0.008)) stage.killAfter(1 + chance.int(40))
  }
}

async function live({ world, stage, random }: Play): Promise<void> {
  for (let n = 1 + random.int(4); n > 0; n--) world.act(random)
  await world.deliver(stage)
  await stage.drain()
}

async function passMinutes({ world, stage, random }: Play): Promise<void> {
  world.clock.tick(MINUTE_MS + random.int(30 * MINUTE_MS))
  await world.deliver(stage)
  await stage.drain()
}

/** Hours, or days, as when a machine was asleep; then the schedule has its minutes. */
async function leap(play: Play): Promise<void> {
  const { world, stage, random } = play
  const hours = random.chance(0.2) ? 24 * (1 + random.int(9)) : 1 + random.int(20)
  play.note(`${hours} hours later`)
  world.clock.tick(hours * HOUR_MS)
  await world.deliver(stage)
  await stage.pass(2 * MINUTE_MS)
}

async function rest(play: Play): Promise<void> {
  await play.settle()
}

async function break_(play: Play): Promise<void> {
  const { world, random } = play
  const company = random.pick(world.companies)
  const conditions = world.conditionsOf(company)
  const nowMs = world.clock.now()
  if (random.chance(0.5)) conditions.notReadyUntilMs = nowMs + random.int(HOUR_MS)
  else conditions.refusedUntilMs = nowMs + random.int(random.chance(0.2) ? 96 * HOUR_MS : 3 * HOUR_MS)
  play.note(`${company.integration} answers nothing for a while`)
}

async function syncWhileBusy(play: Play): Promise<void> {
  await play.restart()
  await play.busySync(play.random.pick(play.world.companies))
}

async function standStill(play: Play): Promise<void> {
  await play.quietSyncs()
}

/** Ingress is killed in the middle of what it does; sometimes it stays away for a while. */
async function kill(play: Play): Promise<void> {
  const { world, stage, random } = play
  stage.killAfter(1 + random.int(200))
  play.note('ingress will be killed')
  if (random.chance(0.7)) await stage.command('sync_full', random.pick(world.companies).integration)
  await stage.drain()
  if (random.chance(0.6)) await play.restart()
}

async function decide(play: Play): Promise<void> {
  await play.restart()
  await play.decideOne()
}

/** Somebody cleans up at the provider. */
async function deleteMany(play: Play): Promise<void> {
  const { world, random } = play
  const [company, stream] = [random.pick(world.companies), random.pick(STREAMS)]
  const rows = company.alive(stream)
  const some = rows.filter(() => random.chance(0.6))
  for (const row of some) company.remove(row)
  play.note(`${some.length} of ${rows.length} ${stream} of ${company.integration} were deleted`)
}

/**
 * The provider shows a tenth of what it has, in a run that ends well. Nothing else is observed meanwhile: the guard goes by how much is missing, and
 * what is observed by other ways is not.
 */
async function showLittle(play: Play): Promise<void> {
  const { world, random } = play
  const [company, stream] = [random.pick(world.companies), random.pick(STREAMS)]
  await play.standStill(async () => {
    await play.settle()
    // With few records the guard would not hold it, and with few known ones neither.
    if (company.rows(stream).length < 12 || (await knownAlive(play, company, stream)) < 12) return
    const { shrunk } = world.conditionsOf(company)
    shrunk.add(stream)
    play.note(`${stream} of ${company.integration} are shown in part`)
    await play.busySync(company)
    shrunk.clear()
  })
  if (random.chance(0.5)) await play.decideAll(company)
}

async function knownAlive({ stage }: Play, company: Company, stream: StreamName): Promise<number> {
  const tables = await readTables(stage.store, stage.schema)
  return company.alive(stream).filter((row) => {
    const known = rowOf(tables, company.keyOf(row))
    return known !== undefined && !isDeleted(known)
  }).length
}
