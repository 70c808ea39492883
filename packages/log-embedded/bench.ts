/**
 * Rates of the embedded log on this machine, each beside a reference measured in the same run, so that ratios can be compared between
 * machines: `node packages/log-embedded/bench.ts [state entries]`. Writes to a temporary directory, about 2 GB at a million entries.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import type { AppendRecord, StateWrite, Task } from '@tidemark/log'
import { open as openLmdb } from 'lmdb'
import { type Embedded, openEmbedded } from './src/index.ts'

const VALUE_BYTES = 280
const BATCH = 1000
const ENTRIES = Number(process.argv[2] ?? 1_000_000)
const LOG_RECORDS = 300_000

const value = Buffer.alloc(VALUE_BYTES, 'v')
const stateKey = (i: number): Buffer => Buffer.from(`kombo:8d1hp/candidates/${String(i).padStart(12, '0')}`)

/** Private memory in MB: what the process alone holds, without the pages of the mapped file. */
function rssAnonMb(): number {
  try {
    const line = /RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
    return line ? Number(line[1]) / 1024 : Number.NaN
  } catch {
    return Number.NaN
  }
}

let peakMb = 0
function print(what: string, rate: number, reference?: { readonly what: string; readonly rate: number }): void {
  peakMb = Math.max(peakMb, rssAnonMb())
  const ratio = reference
    ? `${(rate / reference.rate).toFixed(2)} of ${reference.what} (${Math.round(reference.rate)}/s)`
    : ''
  process.stdout.write(`${what.padEnd(52)} ${String(Math.round(rate)).padStart(9)}/s  ${ratio}\n`)
}

async function perSecond(count: number, work: () => Promise<void> | void): Promise<number> {
  const start = performance.now()
  await work()
  return (count / (performance.now() - start)) * 1000
}

function outputs(topics: readonly string[], from: number): AppendRecord[] {
  return Array.from({ length: BATCH * topics.length }, (_, i) => {
    const n = from + Math.floor(i / topics.length)
    return { topic: topics[i % topics.length]!, partition: 0, key: stateKey(n), value, timestampMs: 1 }
  })
}

async function benchAppend({ log }: Embedded): Promise<void> {
  const rate = await perSecond(LOG_RECORDS, async () => {
    for (let i = 0; i < LOG_RECORDS; i += BATCH) await log.append(outputs(['log'], i))
  })
  print('append, batches of 1,000, each awaited', rate)
  const piped = await perSecond(LOG_RECORDS, async () => {
    const running: Promise<number[]>[] = []
    for (let i = 0; i < LOG_RECORDS; i += BATCH) {
      running.push(log.append(outputs(['log'], i)))
      if (running.length === 8) await running.shift()
    }
    await Promise.all(running)
  })
  print('append, batches of 1,000, eight under way', piped, { what: 'awaited', rate })
  const single = await perSecond(20_000, async () => {
    for (let i = 0; i < 20; i++) {
      await Promise.all(outputs(['log'], i).map((record) => log.append([record])))
    }
  })
  print('append of one record, 1,000 under way', single, { what: 'awaited batches', rate })
}

async function benchFetch({ log }: Embedded): Promise<void> {
  const { end } = await log.bounds('log', 0)
  // The least any reader has to do: create the objects that are handed out, over bytes that are there already.
  const buffer = Buffer.alloc(VALUE_BYTES * 1000)
  let sum = 0
  const floor = await perSecond(end, () => {
    for (let i = 0; i < end; i++) {
      const at = (i % 1000) * VALUE_BYTES
      const record = {
        offset: i,
        timestampMs: 1,
        key: buffer.subarray(at, at + 35),
        value: buffer.subarray(at, at + VALUE_BYTES),
      }
      sum += record.value.length
    }
  })
  const rate = await perSecond(end, async () => {
    for (let at = 0; at < end; ) {
      const { records, nextOffset } = await log.fetch({ topic: 'log', partition: 0, offset: at })
      for (const record of records) sum += record.value!.length
      at = nextOffset
    }
  })
  print('fetch, records of 280 B', rate, { what: 'creating the views alone', rate: floor })
  const small = await perSecond(100_000, async () => {
    for (let at = 0; at < 100_000; ) {
      at = (await log.fetch({ topic: 'log', partition: 0, offset: at, recordsMax: 50 })).nextOffset
    }
  })
  print('fetch, 50 records at a time', small, { what: 'large fetches', rate })
  if (sum === 0) throw new Error('nothing was read')
}

async function benchCommit(task: Task): Promise<number> {
  const commits = Math.ceil(ENTRIES / BATCH)
  const rate = await perSecond(commits * BATCH, async () => {
    for (let i = 0; i < commits; i++) {
      const state: StateWrite[] = Array.from({ length: BATCH }, (_, j) => ({ key: stateKey(i * BATCH + j), value }))
      const slice = { outputs: outputs(['changes', 'snapshots'], i * BATCH), state, position: (i + 1) * BATCH }
      await task.commit(slice)
    }
  })
  print('task commit: new keys, 1,000 (2 outputs + 1 put)', rate)
  const spread = 50
  const again = await perSecond(spread * BATCH, async () => {
    for (let i = 0; i < spread; i++) {
      const at = (j: number): number => (j * Math.floor(ENTRIES / BATCH) + i * 7919) % ENTRIES
      const state = Array.from({ length: BATCH }, (_, j) => ({ key: stateKey(at(j)), value }))
      await task.commit({ outputs: outputs(['changes', 'snapshots'], i), state, position: commits * BATCH })
    }
  })
  print('task commit: old keys all over the state', again, { what: 'new keys', rate })
  return rate
}

const order = (): Buffer[] => Array.from({ length: 200_000 }, (_, i) => stateKey((i * 7919) % ENTRIES))

async function benchState(task: Task): Promise<number> {
  const keys = order()
  let bytes = 0
  const rate = await perSecond(keys.length, () => {
    for (const key of keys) bytes += task.state.get(key)!.length
  })
  if (bytes !== keys.length * VALUE_BYTES) throw new Error('entries are missing')
  const scanned = await perSecond(100_000, () => {
    let count = 0
    for (const _ of task.state.scan(Buffer.from('kombo:'))) if (++count === 100_000) break
  })
  print('state.scan', scanned, { what: 'state.get', rate })
  return rate
}

/** The same gets on the same file through lmdb alone; the log must be closed. */
async function benchBareGet(path: string, rate: number): Promise<void> {
  const root = openLmdb<Buffer, Buffer>({ path, readOnly: true, encoding: 'binary', keyEncoding: 'binary', maxDbs: 16 })
  const state = root.openDB<Buffer, Buffer>('state', { encoding: 'binary', keyEncoding: 'binary' })
  const range = Buffer.from([0, 0, 0, 1])
  const keys = order().map((key) => Buffer.concat([range, key]))
  let found = 0
  const bare = await perSecond(keys.length, () => {
    for (const key of keys) found += state.getBinaryFast(key) ? 1 : 0
  })
  if (found !== keys.length) throw new Error('entries are missing')
  await root.close()
  print(`state.get over ${ENTRIES} entries, random`, rate, { what: 'bare LMDB', rate: bare })
}

async function benchCompaction(data: Embedded): Promise<void> {
  const { end } = await data.log.bounds('snapshots', 0)
  let longest = 0
  let last = performance.now()
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last - 1)
    last = performance.now()
  }, 1)
  const rate = await perSecond(end, async () => {
    await data.maintain(systemClock.now())
  })
  clearInterval(timer)
  print('compaction of the snapshots', rate)
  process.stdout.write(
    `${'longest block of the event loop while compacting'.padEnd(52)} ${longest.toFixed(0).padStart(9)} ms\n`,
  )
}

const directory = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
try {
  const data = await openEmbedded({ path: join(directory, 'log'), clock: systemClock, minDirtyRatio: 0 })
  const topic = (name: string, cleanup: 'delete' | 'compact') => ({ name, partitions: 1, cleanup, retentionMs: null })
  await data.log.ensureTopics([topic('log', 'delete'), topic('changes', 'delete'), topic('snapshots', 'compact')])
  await benchAppend(data)
  await benchFetch(data)
  const task = await data.log.openTask({ group: 'bench', topic: 'log', partition: 0 })
  await benchCommit(task)
  const gets = await benchState(task)
  await benchCompaction(data)
  process.stdout.write(`${'private memory (RssAnon), peak'.padEnd(52)} ${peakMb.toFixed(0).padStart(9)} MB\n`)
  await data.close()
  await benchBareGet(join(directory, 'log'), gets)
} finally {
  rmSync(directory, { recursive: true, force: true })
}
