import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { changesTopic } from '@tidemark/model'
import { expect } from 'vitest'
import { type Pipeline, readTopic } from './pipeline.ts'

/** One line of what the program did: a snapshot it loaded or a change it applied. */
export interface Step {
  readonly key: string
  readonly version: number
  readonly op: string
}

/** Reads the program's table from outside, while it runs or after. */
export class Result {
  readonly file: string
  constructor(file: string) {
    this.file = file
  }

  #all(sql: string, ...values: string[]): Record<string, unknown>[] {
    if (!existsSync(this.file)) return []
    const db = new DatabaseSync(this.file, { readOnly: true, timeout: 5000 })
    try {
      return db.prepare(sql).all(...values)
    } catch (error) {
      // Just created, its tables not yet.
      if (String(error).includes('no such table')) return []
      throw error
    } finally {
      db.close()
    }
  }

  positions(topic: string): number[] {
    const rows = this.#all('select next from positions where topic = ? order by partition', topic)
    return rows.map(({ next }) => Number(next))
  }

  history(): Step[] {
    const rows = this.#all('select key, version, op from history order by seq')
    return rows.map(({ key, version, op }) => ({ key: String(key), version: Number(version), op: String(op) }))
  }

  rows(): Map<string, { readonly version: number; readonly record: Record<string, unknown> }> {
    return new Map(
      this.#all('select key, version, record from rows').map(({ key, version, record }) => [
        String(key),
        { version: Number(version), record: JSON.parse(String(record)) as Record<string, unknown> },
      ]),
    )
  }
}

const BOOKKEEPING = { remote_updated_at: null, remote_data: null }

/** Holds table and history against all changes of the topic. */
export async function expectTruth({ log, codec }: Pipeline, result: Result): Promise<void> {
  const topic = await readTopic(log, changesTopic('candidates'))
  const perKey = new Map<string, { version: number; op: string; after: Record<string, unknown> }[]>()
  for (const { key, value } of topic) {
    const { version, op, after } = codec.decodeChange('candidates', value as Buffer)
    const list = perKey.get(String(key)) ?? []
    list.push({ version, op, after: after as unknown as Record<string, unknown> })
    perKey.set(String(key), list)
  }
  const rows = result.rows()
  expect([...rows.keys()].sort()).toEqual([...perKey.keys()].sort())
  for (const [key, changes] of perKey) {
    const last = changes.at(-1)
    expect(last?.version).toBe(changes.length)
    expect(rows.get(key)?.version, key).toBe(changes.length)
    expect({ ...rows.get(key)?.record, ...BOOKKEEPING }).toEqual({ ...last?.after, ...BOOKKEEPING })
  }
  const history = result.history()
  for (const key of perKey.keys()) {
    const steps = history.filter((step) => step.key === key)
    const loaded = steps.findLastIndex(({ op }) => op === 'snapshot')
    // Snapshots come first; from the last of them on every version is applied exactly once, as the op it was.
    expect(steps.slice(0, loaded + 1).every(({ op }) => op === 'snapshot')).toBe(true)
    const from = loaded < 0 ? 0 : (steps[loaded] as Step).version
    const expected = perKey
      .get(key)
      ?.slice(from)
      .map(({ version, op }) => ({ key, version, op }))
    expect(steps.slice(loaded + 1)).toEqual(expected)
  }
  // The moment was one at which there was something of both.
  expect(history.some(({ op }) => op === 'snapshot')).toBe(true)
  expect(history.some(({ op }) => op !== 'snapshot')).toBe(true)
}
