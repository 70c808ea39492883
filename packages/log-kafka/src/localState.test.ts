import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LocalState } from './localState.ts'

const opened = vi.hoisted((): unknown[] => [])
vi.mock('lmdb', async (importOriginal) => {
  const lmdb = await importOriginal<typeof import('lmdb')>()
  const open = (...args: Parameters<typeof lmdb.open>) => {
    const root = lmdb.open(...args)
    opened.push(root)
    return root
  }
  return { ...lmdb, open }
})

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'local-state-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const writes = [{ key: Buffer.from('k'), value: Buffer.from('v') }]
const markAt = (position: number, state: LocalState) => ({ ...state.mark, position })

/** As lmdb 3.5 rejects a commit that LMDB refuses: a general error with a promise that rejects with the reason. */
function failCommits(code: number): void {
  const root = opened.at(-1) as { childTransaction: unknown }
  root.childTransaction = () => {
    const commitError = Promise.reject(Object.assign(new Error('MDB_BAD_TXN: refused'), { code }))
    return Promise.reject(Object.assign(new Error('Commit failed (see commitError for details)'), { commitError }))
  }
}

describe('a state whose commit LMDB refuses', () => {
  it.each([
    { irreplaceable: false, kept: false },
    { irreplaceable: true, kept: true },
  ])('says why, and is kept: $kept, when the log does not have it: $irreplaceable', async ({ irreplaceable, kept }) => {
    const path = join(folder, 'state')
    const state = LocalState.open(path)
    await state.apply(writes, { ...markAt(1, state), irreplaceable })
    failCommits(-30_782)
    await expect(state.apply(writes, markAt(2, state))).rejects.toThrow('MDB_BAD_TXN')
    expect(state.mark.position).toBe(1)
    await state.close()
    expect(existsSync(path)).toBe(kept)
    const again = LocalState.open(path)
    expect(again.mark.position).toBe(kept ? 1 : 0)
    await again.close()
  })

  it('is kept when only the disk was full', async () => {
    const path = join(folder, 'state')
    const state = LocalState.open(path)
    await state.apply(writes, markAt(1, state))
    failCommits(28)
    await expect(state.apply(writes, markAt(2, state))).rejects.toThrow('refused')
    await state.close()
    expect(existsSync(path)).toBe(true)
  })
})
