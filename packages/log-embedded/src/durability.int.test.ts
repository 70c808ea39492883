import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Random, seededRandom, systemClock } from '@tidemark/base'
import type { EventLog } from '@tidemark/log'
import { describe, expect, it } from 'vitest'
import { openEmbedded } from './embedded.ts'
import { OUTPUTS, STATE_KEYS } from './testing/writer.ts'

const ROUNDS = 12

interface Acknowledged {
  readonly commit: number
  readonly append: number
}

/** Runs the writer until a random moment under load, kills it, and returns the last numbers it was told are durable. */
async function runAndKill(path: string, random: Random): Promise<Acknowledged> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'testing/writer.ts'), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      output += chunk
      if (output.includes('ready')) resolve()
    })
    child.once('exit', (code) => reject(new Error(`the writer ended by itself with ${code}`)))
  })
  await ready
  await sleep(random.int(120))
  const exited = once(child, 'close')
  child.kill('SIGKILL')
  await exited
  const last = (what: string): number =>
    Math.max(-1, ...[...output.matchAll(new RegExp(`^${what} (\\d+)$`, 'gm'))].map((match) => Number(match[1])))
  return { commit: last('commit'), append: last('append') }
}

async function texts(log: EventLog, topic: string): Promise<string[]> {
  const out: string[] = []
  const { end } = await log.bounds(topic, 0)
  for (let at = 0; at < end; ) {
    const { records, nextOffset } = await log.fetch({ topic, partition: 0, offset: at })
    for (const { value } of records) out.push(value!.toString().replace(/ x+$/, ''))
    at = nextOffset
  }
  return out
}

async function check(path: string, acknowledged: Acknowledged): Promise<void> {
  const data = await openEmbedded({ path, clock: systemClock })
  const { log } = data
  const task = await log.openTask({ group: 'g', topic: 'in', partition: 0 })
  const { position } = task
  expect(position).toBeGreaterThanOrEqual(acknowledged.commit)

  const half = Array.from({ length: OUTPUTS / 2 }, (_, i) => 2 * i)
  const positions = Array.from({ length: position }, (_, i) => i + 1)
  expect(await texts(log, 'one')).toEqual(positions.flatMap((p) => half.map((i) => `${p} ${i}`)))
  expect(await texts(log, 'two')).toEqual(positions.flatMap((p) => half.map((i) => `${p} ${i + 1}`)))
  const state = [...task.state.scan(Buffer.alloc(0))].map(({ value }) => value.toString())
  expect(state).toEqual(position === 0 ? [] : Array.from({ length: STATE_KEYS }, () => `${position}`))

  const appended = await texts(log, 'appended')
  expect(appended.length).toBeGreaterThanOrEqual(3 * (acknowledged.append + 1))
  expect(appended).toEqual(Array.from({ length: appended.length }, (_, i) => `${Math.floor(i / 3)} ${i % 3}`))
  expect(appended.length % 3).toBe(0)
  await data.close()
}

describe('a process killed at any moment', () => {
  it('loses nothing that was acknowledged, and leaves nothing half', async () => {
    const path = mkdtempSync(join(tmpdir(), 'log-killed-'))
    const random = seededRandom(7)
    let commits = 0
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const acknowledged = await runAndKill(path, random)
        commits = Math.max(commits, acknowledged.commit)
        await check(path, acknowledged)
      }
      expect(commits).toBeGreaterThan(ROUNDS)
    } finally {
      rmSync(path, { recursive: true, force: true })
    }
  })
})
