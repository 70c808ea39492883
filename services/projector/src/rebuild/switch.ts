import { TidemarkError } from '@tidemark/base'
import type { LogRecord } from '@tidemark/log'
import { MODEL_NAMES } from '@tidemark/model'
import { ident, liveTimeSql, qualified, tableName } from '@tidemark/projection'
import type { SqlRunner } from '@tidemark/store'
import { decodeRecords } from '../decode.ts'
import { migrationHashes } from '../migrate.ts'
import { changePartitions, placeOf, storedOffsets } from '../offsets.ts'
import { type Item, isDataError, type Source, writeWithin } from '../writer.ts'
import { eraseWithin } from './erase.ts'
import { writerOf } from './fill.ts'
import { grantsSql } from './grants.ts'
import { dropMarkerSql, dropUnplacedSql, existingSchemas, readMarker, UNPLACED } from './schema.ts'
import type { Attempt } from './types.ts'

/** How long the live projector's transaction under way is waited for. */
const LOCK_TIMEOUT = '5s'
/** What may be written while the live projector waits. */
const CATCH_UP_MAX = 2000

/** Leaves the transaction without anything done: there is more to be filled first. */
class NotYet extends Error {}

/**
 * Makes the rebuilt tables the live ones, in one transaction. Resolves with false when the live ones are ahead by too much, or do not
 * let go of their offsets: fill, then try again.
 *
 * The live projector's transactions begin with its offsets: the lock waits for the one under way, and the next one waits for the switch,
 * after which PostgreSQL looks the table's name up again and finds the new offsets. Readers take no lock that the switch wants.
 */
export async function trySwitch(attempt: Attempt): Promise<boolean> {
  const { deps, schemas, progress } = attempt
  progress.phase('switching')
  try {
    await deps.store.transaction(async (tx) => {
      const { live } = await existingSchemas(tx, schemas)
      await checkMarker(tx, attempt, live)
      if (live) await reachLive(tx, attempt)
      await eraseWithin(tx, attempt)
      await placeRows(tx, attempt)
      await exchange(tx, attempt, live)
    })
    return true
  } catch (error) {
    if (error instanceof NotYet || isDataError(error) || sqlStateOf(error) === LOCK_NOT_AVAILABLE) return false
    throw error
  }
}

const LOCK_NOT_AVAILABLE = '55P03'
const sqlStateOf = (error: unknown): unknown => (error instanceof TidemarkError ? error.fields['sqlState'] : undefined)

async function checkMarker(tx: SqlRunner, { schemas }: Attempt, live: boolean): Promise<void> {
  const marker = await readMarker(tx, schemas)
  if (marker?.state === 'indexed' && (marker.had_live || !live)) return
  throw new TidemarkError(
    'PROJECTION_MISMATCH',
    `the rebuild of "${schemas.live}" cannot be switched: a live projection appeared since it began, or somebody else works on ` +
      `"${schemas.next}". Begin again with restart`,
    { fields: { schema: schemas.live } },
  )
}

/** Holds the live projector, and goes up to where it is: readers must not go back in time. */
async function reachLive(tx: SqlRunner, attempt: Attempt): Promise<void> {
  const { deps, schemas } = attempt
  await tx.query(`select set_config('lock_timeout', '${LOCK_TIMEOUT}', true)`)
  await tx.query(`lock table ${qualified(schemas.live, 'projection_offsets')} in exclusive mode`)
  const [live, next] = [await storedOffsets(tx, schemas.live), await storedOffsets(tx, schemas.next)]
  const moves: { source: Source; to: number }[] = []
  const items: Item[] = []
  for (const { model, topic, partition } of await changePartitions(deps.log)) {
    const place = placeOf({ topic, partition })
    const wanted = live.get(place)
    const committed = next.get(place)
    if (wanted === undefined || wanted === committed) continue
    // A topic that was made a moment ago.
    if (committed === undefined) throw new NotYet()
    const to = Math.min(wanted, (await deps.log.bounds(topic, partition)).end)
    if (to <= committed) continue
    const source = { model, topic, partition, committed }
    moves.push({ source, to })
    const records = await recordsUpTo(attempt, source, to, CATCH_UP_MAX - items.length)
    items.push(...(await decodeRecords(deps.codec, source, records, to)))
  }
  await writeWithin(tx, writerOf(attempt), items)
  await passHoles(tx, schemas.next, moves)
}

/** Records before `to`. */
async function recordsUpTo(
  { deps }: Attempt,
  { topic, partition, committed }: Source,
  to: number,
  max: number,
): Promise<LogRecord[]> {
  const found: LogRecord[] = []
  for (let offset = committed; offset < to; ) {
    if (found.length >= max) throw new NotYet()
    const { records, nextOffset } = await deps.log.fetch({ topic, partition, offset, recordsMax: max })
    if (nextOffset === offset) throw new NotYet()
    found.push(...records.filter((record) => record.offset < to))
    offset = nextOffset
  }
  return found
}

/** Offsets without a record, as Kafka's transactions leave them, are passed too, so that the live projector finds its own ones. */
async function passHoles(
  tx: SqlRunner,
  schema: string,
  moves: readonly { source: Source; to: number }[],
): Promise<void> {
  const wanted = moves.map(({ source: { topic, partition }, to }) => ({ topic, partition, to }))
  await tx.query(
    `update ${qualified(schema, 'projection_offsets')} p set next_offset = o."to"
from jsonb_to_recordset($1::jsonb) as o(topic text, partition integer, "to" bigint)
where p.topic = o.topic and p.partition = o.partition and p.next_offset < o."to"`,
    [JSON.stringify(wanted)],
  )
}

/** Rows that became readable only with the switch become so now: whoever polls by time finds them. */
async function placeRows(tx: SqlRunner, { deps, schemas, liveModels }: Attempt): Promise<void> {
  const now = new Date(deps.clock.now()).toISOString()
  for (const model of MODEL_NAMES) {
    const live = liveModels.get(model)
    const known = live ? liveTimeSql(live, model, 't') : 'null::timestamptz'
    await tx.query(
      `update ${qualified(schemas.next, tableName(model))} t
set effective_changed_at = coalesce(${known}, greatest(t.changed_at, $1::timestamptz)) where t.effective_changed_at = '${UNPLACED}'`,
      [now],
    )
  }
}

async function exchange(tx: SqlRunner, { schemas }: Attempt, hasLive: boolean): Promise<void> {
  const { live, next, old } = schemas
  if (hasLive) for (const sql of await grantsSql(tx, schemas)) await tx.query(sql)
  await tx.query(dropUnplacedSql(next))
  await tx.query(dropMarkerSql(next))
  const applied = migrationHashes(live).map(({ id, sha256 }) => ({ id, sha256 }))
  await tx.query(
    `insert into ${qualified(next, 'projection_migrations')} (id, sha256)
select m.id, m.sha256 from jsonb_to_recordset($1::jsonb) as m(id text, sha256 text)`,
    [JSON.stringify(applied)],
  )
  if (hasLive) await tx.query(`alter schema ${ident(live)} rename to ${ident(old)}`)
  await tx.query(`alter schema ${ident(next)} rename to ${ident(live)}`)
}
