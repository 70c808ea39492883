import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockDirectory } from './lock.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lock-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('lockDirectory', () => {
  it('refuses a second owner, names the pid, and leaves nothing behind after release', () => {
    const lock = lockDirectory(directory)
    expect(() => lockDirectory(directory)).toThrow(
      expect.objectContaining({ code: 'DATA_DIRECTORY_LOCKED', message: expect.stringContaining(String(process.pid)) }),
    )
    lock.release()
    lock.release()
    expect(readdirSync(directory)).toEqual([])
    lockDirectory(directory).release()
  })

  it('is seen by another process', () => {
    const lock = lockDirectory(directory)
    const script = `import { lockDirectory } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))}
      try { lockDirectory(process.argv[1]); console.log('taken') } catch (error) { console.log(error.code, error.fields.pid) }`
    const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script, directory], { encoding: 'utf8' })
    expect(ran.stdout.trim()).toBe(`DATA_DIRECTORY_LOCKED ${process.pid}`)
    lock.release()
  })

  it('takes over from a dead process, from a reused pid and from a lock cut short', () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid
    const stale = [`{"pid":${dead},"started":null}`, `{"pid":${process.pid},"started":"another boot/1"}`, '{"pi']
    for (const content of stale) {
      writeFileSync(join(directory, 'tidemark.lock'), content)
      const lock = lockDirectory(directory)
      expect(() => lockDirectory(directory)).toThrow(expect.objectContaining({ code: 'DATA_DIRECTORY_LOCKED' }))
      lock.release()
      expect(existsSync(join(directory, 'tidemark.lock'))).toBe(false)
    }
  })
})
