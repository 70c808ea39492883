import { describe, expect, it } from 'vitest'
import type { StateStore } from '../log.ts'
import { bytes, disposing, type StateHarness, textOf } from './harness.ts'

const put = (key: string, value: string | null) => ({ key: bytes(key), value: value === null ? null : bytes(value) })
const entries = (state: StateStore, prefix = ''): string[] =>
  [...state.scan(bytes(prefix))].map(({ key, value }) => `${key}=${value}`)

/** Registers the contract of the StateStore port as vitest cases. `open` gives each case a new, empty store. */
export function stateContract(name: string, openHarness: () => Promise<StateHarness>): void {
  describe(`${name}, as state store`, () => {
    const open = disposing(openHarness)

    it('is empty and at position 0 when new', async () => {
      const { state } = await open()
      expect(state.position).toBe(0)
      expect(entries(state)).toEqual([])
    })

    it('applies writes and position together, durably', async () => {
      const harness = await open()
      await harness.state.apply([put('b', '2'), put('a', '1'), put('a', '3'), put('c', ''), put('d', null)], 7)
      expect(harness.state.position).toBe(7)
      expect(entries(harness.state)).toEqual(['a=3', 'b=2', 'c='])
      await harness.state.apply([put('b', null)], 8)
      const state = await harness.reopen()
      expect(state.position).toBe(8)
      expect(entries(state)).toEqual(['a=3', 'c='])
      expect(textOf(state.get(bytes('a')))).toBe('3')
      expect(textOf(state.get(bytes('c')))).toBe('')
      expect(state.get(bytes('b'))).toBeUndefined()
    })

    it('applies concurrent calls in their order', async () => {
      const { state } = await open()
      await Promise.all(Array.from({ length: 50 }, (_, i) => state.apply([put('k', `${i}`)], i)))
      expect(textOf(state.get(bytes('k')))).toBe('49')
      expect(state.position).toBe(49)
    })

    it('forgets everything when it is cleared, and can be filled again', async () => {
      const harness = await open()
      const many = Array.from({ length: 5000 }, (_, i) => put(`k${i}`, 'v'))
      await harness.state.apply(many, 5)
      await harness.state.clear()
      expect(harness.state.position).toBe(0)
      expect(entries(harness.state)).toEqual([])
      await harness.state.apply([put('new', '1')], 2)
      const state = await harness.reopen()
      expect(entries(state)).toEqual(['new=1'])
      expect(state.position).toBe(2)
    })

    it('scans by prefix in key byte order', async () => {
      const { state } = await open()
      await state.apply(
        ['b/2', 'a/1', 'b', 'b/1', 'c', 'b/10', 'b0'].map((key) => put(key, '')),
        1,
      )
      expect(entries(state, 'b/')).toEqual(['b/1=', 'b/10=', 'b/2='])
      expect(entries(state, 'b')).toEqual(['b=', 'b/1=', 'b/10=', 'b/2=', 'b0='])
    })

    it('refuses to work after close', async () => {
      const { state } = await open()
      await state.close()
      await expect(state.apply([put('a', '1')], 1)).rejects.toThrow()
      expect(() => state.get(bytes('a'))).toThrow()
    })
  })
}
