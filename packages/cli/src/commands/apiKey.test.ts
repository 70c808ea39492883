import { expect, it } from 'vitest'
import { parseConfig } from '../config.ts'
import { runCli } from '../program.ts'

interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function run(...args: readonly string[]): Promise<Run> {
  const out = { stdout: '', stderr: '' }
  const writer = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      out[name] += text
      return true
    },
  })
  const io = { stdout: writer('stdout'), stderr: writer('stderr'), env: {} }
  return { code: await runCli(['node', 'tidemark', 'api-key', ...args], io), ...out }
}

const keysOf = (text: string) => parseConfig(text, 't.yaml', {}).api_keys

it('prints a key once, and lines for the configuration that let this key in', async () => {
  const { code, stdout } = await run('--name', 'my: "back#end')
  expect(code).toBe(0)
  const [key, ...lines] = stdout.trimEnd().split('\n')
  expect(key).toMatch(/^tm_[A-Za-z0-9_-]{43}$/)
  expect(lines.join('\n')).not.toContain(key)
  const [hashed] = keysOf(lines.join('\n'))
  const [plain] = keysOf(`api_keys: [{ name: x, key: ${key} }]`)
  expect(hashed).toEqual({ name: 'my: "back#end', hash: plain?.hash })
})

it('never makes the same key twice', async () => {
  const keys = [await run('--json'), await run('--json')].map(({ stdout }) => JSON.parse(stdout).key)
  expect(keys[0]).not.toBe(keys[1])
})

it('prints JSON when asked to', async () => {
  const { code, stdout, stderr } = await run('--json', '--name', 'analytics')
  const { name, key, hash, ...rest } = JSON.parse(stdout) as Record<string, string>
  expect([code, stderr, name, rest]).toEqual([0, '', 'analytics', {}])
  expect(keysOf(`api_keys: [{ name: a, key: "${hash}" }]`)[0]?.hash).toBe(
    keysOf(`api_keys: [{ name: a, key: "${key}" }]`)[0]?.hash,
  )
})

it('refuses an empty name', async () => {
  const { code, stdout, stderr } = await run('--name', ' ')
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toContain('--name')
})
