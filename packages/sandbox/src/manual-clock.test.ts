import { describe, expect, it } from 'vitest'
import { createManualClock } from './manual-clock.ts'
import { createScheduler } from './scheduler.ts'

describe('manual clock', () => {
  it('wakes sleepers in the order of their times and shows each its own time', async () => {
    const clock = createManualClock(1000)
    const seen: number[] = []
    const sleep = async (ms: number): Promise<void> => {
      await clock.sleep(ms)
      seen.push(clock.now())
    }
    void sleep(30)
    void sleep(10)
    void sleep(20)
    await clock.advance(25)
    expect(seen).toEqual([1010, 1020])
    expect(clock.now()).toBe(1025)
    await clock.advance(5)
    expect(seen).toEqual([1010, 1020, 1030])
  })

  it('wakes a sleeper without waiting when its signal aborts', async () => {
    const clock = createManualClock()
    const controller = new AbortController()
    const sleeping = clock.sleep(1_000_000, controller.signal)
    controller.abort()
    await sleeping
    expect(clock.sleepers).toBe(0)
  })

  it('refuses to go back', async () => {
    await expect(createManualClock().advance(-1)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})

describe('scheduler', () => {
  it('runs tasks at their times, also those that tasks add, and goes on after one that throws', async () => {
    const clock = createManualClock(0)
    const errors: unknown[] = []
    const scheduler = createScheduler(clock, (error) => errors.push(error))
    const ran: [string, number][] = []
    const note = (name: string) => () => void ran.push([name, clock.now()])
    scheduler.at(50, note('b'))
    scheduler.at(10, () => {
      ran.push(['a', clock.now()])
      scheduler.at(20, note('a2'))
      throw new Error('boom')
    })
    const cancel = scheduler.at(15, note('never'))
    cancel()
    scheduler.start()
    await clock.advance(30)
    scheduler.at(40, note('late'))
    await clock.advance(100)
    await scheduler.stop()
    expect(ran).toEqual([
      ['a', 10],
      ['a2', 20],
      ['late', 40],
      ['b', 50],
    ])
    expect(errors).toHaveLength(1)
    expect(clock.sleepers).toBe(0)
  })
})
