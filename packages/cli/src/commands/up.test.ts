import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { runCli } from '../program.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-up-'))
})

afterEach(() => rmSync(folder, { recursive: true }))

/** What a start says that gets no further than its data directory, which is a file. */
async function start(apiKey: string): Promise<string> {
  const config = join(folder, 'tidemark.yaml')
  const source = `{ name: a, connector: knit, base_url: "https://x", api_key: "${apiKey}", integrations: [] }`
  writeFileSync(config, `data: ${config}\nport: 0\nsources:\n  - ${source}\n`)
  chmodSync(config, 0o644)
  let stderr = ''
  const write = (text: string): boolean => {
    stderr += text
    return true
  }
  const io = { stdout: { write }, stderr: { write }, env: { NO_COLOR: '1', KEY: 'hidden4711' } }
  expect(await runCli(['node', 'tidemark', 'up', '--config', config], io)).toBe(1)
  expect(stderr).toContain('cannot be used as data directory')
  return stderr
}

it('tells of secrets that stand in the configuration as plain text, and of who may read it', async () => {
  const said = await start('hidden4711')
  expect(said.match(/sources\[0\]\.api_key \(line 4\) stands there as plain text/g)).toHaveLength(1)
  expect(said.match(/chmod 600/g)).toHaveLength(1)
  expect(said).not.toContain('hidden')
  expect(await start('${KEY}')).not.toMatch(/plain text|chmod|hidden/)
})
