/**
 * Ways to fill a model's table, on this machine, side by side: `node packages/store-postgres/bench.ts [rows] [runs]`. Uses DATABASE_URL or
 * 127.0.0.1:5432, in a database of its own that is dropped. Prints medians, and each way's rate as a share of the bare COPY.
 */
import { seededRandom } from '@tidemark/base'
import { normalizeRecord, publicId, recordKey } from '@tidemark/model'
import { ident, migrations, qualified, TABLES, toRows, upsertSql } from '@tidemark/projection'
import type { CopyRow, PostgresRunner, PostgresStore } from './src/index.ts'
import { openTemporaryStore } from './src/testing.ts'

const ROWS = Number(process.argv[2] ?? 100_000)
const RUNS = Number(process.argv[3] ?? 3)
const SCHEMA = 'bench'
const NOW = '2026-03-01T09:00:00.000Z'
const TABLE = TABLES.candidates
const NAME = qualified(SCHEMA, TABLE.name)
const COLUMNS = TABLE.columns.map(({ name }) => name)
const COLUMN_LIST = COLUMNS.map(ident).join(', ')

/** The JSON row of one candidate, as the projector makes it: about 1,040 bytes. */
function rowText(n: number): string {
  const random = seededRandom(n + 1)
  const key = recordKey('kombo:8d1hp', 'candidates', String(n))
  const input = {
    id: publicId(key),
    remote_id: String(n),
    first_name: random.pick(['Frodo', 'Samwise', 'Éowyn', 'Galadriel']),
    last_name: random.pick(['Baggins', 'Gamgee', 'of Rohan', 'Undómiel']),
    title: random.pick(['Gardener', 'Recruiter', 'Ring Bearer', 'Site Reliability Engineer']),
    source: random.pick(['Careers page', 'Employee Referral', 'LinkedIn']),
    email_addresses: [{ email_address: `candidate.${n}@example.com`, type: 'PRIVATE' }],
    phone_numbers: [{ phone_number: `+49 30 ${1_000_000 + n}`, type: 'HOME' }],
    location: { city: random.pick(['Hobbiton', 'Bree', 'Minas Tirith']), country: 'DE', zip_code: String(10_000 + n) },
    custom_fields: { salary_expectation: 50_000 + (n % 40) * 1_000 },
    remote_url: `https://ats.example.com/candidates/${n}`,
    remote_created_at: 1_760_000_000_000 + n * 1_000,
    remote_updated_at: 1_760_000_000_000 + n * 1_000,
  }
  const { record } = normalizeRecord('candidates', input)
  const cause = {
    kind: 'full_sync',
    sync_id: null,
    event_name: null,
    event_id: null,
    actor: null,
    raw: null,
    evidence: null,
    observed: { partition: 0, offset: n },
    previous_seen_at: null,
    first_seen_at: 1_760_000_000_000,
  }
  const change = {
    event_id: `0-${n}`,
    integration_id: 'kombo:8d1hp',
    id: input.id,
    remote_id: input.remote_id,
    version: 1,
    op: 'created',
    changed_at: 1_760_000_000_000 + n,
    remote_changed_at: null,
    merged_into_id: null,
    cause,
    changes: [],
    before: null,
    after: record,
  }
  return toRows('candidates', change, key, { partition: 0, offset: n }).row
}

/** The values of a JSON row, column by column. */
function valuesOf(text: string): CopyRow {
  const row = JSON.parse(text) as Record<string, string | number | boolean | null>
  return TABLE.columns.map(({ name, type }) => {
    const value = name === 'effective_changed_at' ? NOW : (row[name] ?? null)
    return type === 'jsonb' && value !== null ? JSON.stringify(value) : value
  })
}

function* slices(texts: readonly string[], size: number): Generator<readonly string[]> {
  for (let at = 0; at < texts.length; at += size) yield texts.slice(at, at + size)
}
function* values(texts: readonly string[]): Generator<CopyRow> {
  for (const text of texts) yield valuesOf(text)
}

async function upsert(tx: PostgresRunner, texts: readonly string[], rowsPerStatement: number): Promise<void> {
  for (const rows of slices(texts, rowsPerStatement))
    await tx.query(upsertSql(SCHEMA, 'candidates'), [`[${rows.join(',')}]`, NOW])
}

/** COPY beside the table, then one statement that replaces older versions, as an upsert does. */
async function copyAndMerge(tx: PostgresRunner, texts: readonly string[]): Promise<void> {
  await tx.query(`CREATE TEMP TABLE staged (LIKE ${NAME}) ON COMMIT DROP`)
  await tx.copyRows({ table: 'staged', columns: COLUMNS }, values(texts))
  const replaced = COLUMNS.filter((name) => name !== 'record_key').map(
    (name) => `${ident(name)} = excluded.${ident(name)}`,
  )
  await tx.query(`INSERT INTO ${NAME} AS t (${COLUMN_LIST}) SELECT ${COLUMN_LIST} FROM staged
    ON CONFLICT (record_key) DO UPDATE SET ${replaced.join(', ')} WHERE t.version < excluded.version`)
}

const target = { schema: SCHEMA, table: TABLE.name, columns: COLUMNS }
type Way = (store: PostgresStore, texts: readonly string[]) => Promise<void>
const inTransactions =
  (size: number, write: (tx: PostgresRunner, texts: readonly string[]) => Promise<unknown>): Way =>
  async (store, texts) => {
    for (const slice of slices(texts, size)) await store.transaction((tx) => write(tx, slice))
  }

const upsert1000 = inTransactions(5000, (tx, texts) => upsert(tx, texts, 1000))
const bareCopy = inTransactions(Number.POSITIVE_INFINITY, (tx, texts) => tx.copyRows(target, values(texts)))
const WAYS: readonly { readonly name: string; readonly indexes: 'before' | 'after'; readonly run: Way }[] = [
  { name: 'COPY, one transaction', indexes: 'before', run: bareCopy },
  {
    name: 'COPY, 5,000 rows per transaction',
    indexes: 'before',
    run: inTransactions(5000, (tx, texts) => tx.copyRows(target, values(texts))),
  },
  {
    name: 'COPY to a temporary table + merge, 5,000 per transaction',
    indexes: 'before',
    run: inTransactions(5000, copyAndMerge),
  },
  {
    name: 'upsert, 100 rows per statement, 5,000 per transaction',
    indexes: 'before',
    run: inTransactions(5000, (tx, texts) => upsert(tx, texts, 100)),
  },
  { name: 'upsert, 1,000 rows per statement, 5,000 per transaction', indexes: 'before', run: upsert1000 },
  { name: 'COPY, one transaction', indexes: 'after', run: bareCopy },
  {
    name: 'COPY to a temporary table + merge, 5,000 per transaction',
    indexes: 'after',
    run: inTransactions(5000, copyAndMerge),
  },
  { name: 'upsert, 1,000 rows per statement, 5,000 per transaction', indexes: 'after', run: upsert1000 },
]

/** Seconds of one way from an empty table to a full one with all indexes. */
async function measure(store: PostgresStore, way: (typeof WAYS)[number], texts: readonly string[]): Promise<number> {
  await store.script(`TRUNCATE ${NAME}`)
  const indexes = await store.query<{ name: string; sql: string }>(
    `SELECT indexname AS name, indexdef AS sql FROM pg_indexes WHERE schemaname = $1 AND tablename = $2 AND indexname NOT LIKE '%_pkey'`,
    [SCHEMA, TABLE.name],
  )
  if (way.indexes === 'after') for (const { name } of indexes) await store.script(`DROP INDEX ${SCHEMA}.${name}`)
  await store.script('CHECKPOINT')
  const start = performance.now()
  await way.run(store, texts)
  if (way.indexes === 'after') for (const { sql } of indexes) await store.script(sql)
  const seconds = (performance.now() - start) / 1000
  const [row] = await store.query<{ n: number }>(`SELECT count(*)::int4 AS n FROM ${NAME}`)
  if (row?.n !== texts.length) throw new Error(`${way.name}: ${row?.n} rows instead of ${texts.length}`)
  return seconds
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!

const store = await openTemporaryStore({ statementTimeoutMs: 0 })
try {
  for (const { sql } of migrations(SCHEMA)) await store.script(sql)
  const texts = Array.from({ length: ROWS }, (_, n) => rowText(n))
  const bytes = texts.reduce((sum, text) => sum + text.length, 0) / ROWS
  const times = WAYS.map((): number[] => [])
  // Run by run rather than way by way, so that a slow moment of the machine hits all alike.
  for (let run = 0; run < RUNS; run++)
    for (const [i, way] of WAYS.entries()) times[i]!.push(await measure(store, way, texts))
  const floor = median(times[0]!)
  process.stdout.write(`${ROWS} candidates of ${Math.round(bytes)} bytes of JSON, medians of ${RUNS}\n`)
  for (const [i, { name, indexes }] of WAYS.entries()) {
    const seconds = median(times[i]!)
    const rate = String(Math.round(ROWS / seconds)).padStart(7)
    const label = `${name}; indexes ${indexes}`.padEnd(75)
    process.stdout.write(`${label} ${seconds.toFixed(1).padStart(5)} s ${rate}/s  ${(floor / seconds).toFixed(2)}\n`)
  }
} finally {
  await store.close()
}
