/** A table of one model in SQLite: rows, what was done, and the positions it reflects, all changed in one transaction. */
import { DatabaseSync } from 'node:sqlite'
import { fail } from './client.ts'
import type { Change, Snapshot } from './decode.ts'

/** Where reading one partition goes on, and where it ends: null while that is unknown, or for ever. */
export interface Position {
  readonly topic: string
  readonly partition: number
  readonly next: bigint
  readonly stop: bigint | null
}

export interface Table {
  positions(topic: string): Position[]
  /** All of it, or nothing. */
  transaction<T>(work: () => T): T
  setPosition(position: Position): void
  load(key: string, snapshot: Snapshot | null): void
  /** False for a change that the row has already. */
  apply(key: string, change: Change): boolean
  count(): number
  close(): void
}

const TABLES = `
  pragma journal_mode = wal;
  create table if not exists positions (topic text, partition integer, next text, stop text, primary key (topic, partition));
  create table if not exists rows (key text primary key, version integer not null, record text);
  create table if not exists history (seq integer primary key autoincrement, key text, version integer, op text);`

export function openTable(file: string): Table {
  const db = new DatabaseSync(file)
  db.exec(TABLES)
  const positions = db.prepare('select topic, partition, next, stop from positions where topic = ? order by partition')
  const setPosition = db.prepare('insert or replace into positions values (?, ?, ?, ?)')
  const versionOf = db.prepare('select version from rows where key = ?')
  const setRow = db.prepare('insert or replace into rows values (?, ?, ?)')
  const removeRow = db.prepare('delete from rows where key = ?')
  // Stands for what your service does with a change; whatever that is, it belongs into the same transaction.
  const note = db.prepare('insert into history (key, version, op) values (?, ?, ?)')

  return {
    positions: (topic) =>
      positions.all(topic).map((row) => ({
        topic,
        partition: Number(row['partition']),
        next: BigInt(String(row['next'])),
        stop: row['stop'] === null ? null : BigInt(String(row['stop'])),
      })),
    transaction(work) {
      db.exec('begin immediate')
      try {
        const result = work()
        db.exec('commit')
        return result
      } catch (error) {
        db.exec('rollback')
        throw error
      }
    },
    setPosition({ topic, partition, next, stop }) {
      setPosition.run(topic, partition, String(next), stop === null ? null : String(stop))
    },
    load(key, snapshot) {
      // A tombstone: the record was purged.
      if (snapshot === null) removeRow.run(key)
      else setRow.run(key, snapshot.version, JSON.stringify(snapshot.record))
      note.run(key, snapshot?.version ?? null, 'snapshot')
    },
    apply(key, { version, op, after }) {
      const known = versionOf.get(key)?.['version']
      if (typeof known === 'number') {
        if (version <= known) return false
        if (version !== known + 1) fail(`${key} goes from version ${known} to ${version}: changes are missing`)
      }
      // Without a row any version is right: its snapshot may have been replaced by this one's while we read. `after` is whole.
      setRow.run(key, version, after === null ? null : JSON.stringify(after))
      note.run(key, version, op)
      return true
    },
    count: () => Number(db.prepare('select count(*) as n from rows where record is not null').get()?.['n']),
    close: () => db.close(),
  }
}
