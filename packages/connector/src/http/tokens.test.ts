import { ManualClock } from '@tidemark/testing'
import { beforeEach, expect, it } from 'vitest'
import { type Token, Tokens } from './tokens.ts'

const { signal } = new AbortController()
let clock: ManualClock
let minted: number
let answer: (n: number) => Promise<Token>
let tokens: Tokens

beforeEach(() => {
  clock = new ManualClock()
  minted = 0
  answer = async (n) => ({ value: `t${n}`, expiresAtMs: clock.now() + 100_000 })
  tokens = new Tokens({ clock, renewBeforeMs: 10_000, mint: () => answer(++minted) })
})

it('keeps a token until it is about to expire', async () => {
  expect(await tokens.get(signal)).toBe('t1')
  await clock.advance(89_000)
  expect(await tokens.get(signal)).toBe('t1')
  await clock.advance(2_000)
  expect(await tokens.get(signal)).toBe('t2')
})

it('gets one token for all who ask at the same time', async () => {
  expect(await Promise.all([1, 2, 3].map(() => tokens.get(signal)))).toEqual(['t1', 't1', 't1'])
})

it('gets another one when the current one was refused, once', async () => {
  await tokens.get(signal)
  expect([tokens.forget('t1'), tokens.forget('t1')]).toEqual([true, false])
  expect(await tokens.get(signal)).toBe('t2')
  expect(tokens.forget('t1')).toBe(false)
  expect(await tokens.get(signal)).toBe('t2')
})

it('tells all who wait of a failure, and tries again for the next', async () => {
  answer = async (n) => {
    if (n === 1) throw new Error('refused')
    return { value: `t${n}`, expiresAtMs: clock.now() + 100_000 }
  }
  const waiting = [1, 2].map(() => tokens.get(signal))
  for (const one of waiting) await expect(one).rejects.toThrow('refused')
  expect(await tokens.get(signal)).toBe('t2')
})

it('lets one go who gives up, and the others wait on', async () => {
  const gate = Promise.withResolvers<void>()
  answer = async () => {
    await gate.promise
    return { value: 't', expiresAtMs: clock.now() + 100_000 }
  }
  const aborter = new AbortController()
  const [mine, theirs] = [tokens.get(aborter.signal), tokens.get(signal)]
  aborter.abort(new Error('enough'))
  await expect(mine).rejects.toThrow('enough')
  gate.resolve()
  expect(await theirs).toBe('t')
})
