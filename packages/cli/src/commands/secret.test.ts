import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../config.ts'
import { runCli } from '../program.ts'
import type { SecretInput } from '../secrets/readSecret.ts'

type Env = Readonly<Record<string, string>>

let folder: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-secret-'))
  file = join(folder, 'tidemark.yaml')
})

afterEach(() => rmSync(folder, { recursive: true }))

async function run(args: readonly string[], env: Env = {}, stdin: SecretInput = Readable.from([])) {
  const out = { stdout: '', stderr: '' }
  const writer = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      out[name] += text
      return true
    },
  })
  const io = { stdout: writer('stdout'), stderr: writer('stderr'), stdin, env: { NO_COLOR: '1', ...env } }
  return { code: await runCli(['node', 'tidemark', 'secret', ...args], io), ...out }
}

const newKey = async (): Promise<string> => (await run(['key'])).stdout.trim()
const piped = (...parts: (string | Buffer)[]): Readable => Readable.from(parts.map((part) => Buffer.from(part)))
const seal = async (value: string, key: string): Promise<string> =>
  (await run(['seal'], { TIDEMARK_SECRET_KEY: key }, piped(value))).stdout.trim()

/** What a configuration says, with the keys of an environment. */
const read = (text: string, env: Env) => parseConfig(text, 'tidemark.yaml', env)

describe('tidemark secret seal', () => {
  it('prints what stands for the value, with the key of `secret key`', async () => {
    const TIDEMARK_SECRET_KEY = await newKey()
    const sealed = await seal('the value\n', TIDEMARK_SECRET_KEY)
    expect(read(`data: ${sealed}`, { TIDEMARK_SECRET_KEY }).data).toBe('the value')
  })

  it('takes lines and characters of any kind, without the last line break', async () => {
    const TIDEMARK_SECRET_KEY = await newKey()
    for (const [given, value] of [
      ['-----BEGIN\nKEY-----\r\n', '-----BEGIN\nKEY-----'],
      ['ü €\n\n', 'ü €\n'],
      ['no end', 'no end'],
    ] as const) {
      const bytes = [...Buffer.from(given)].map((byte) => Buffer.from([byte]))
      const { stdout } = await run(['seal'], { TIDEMARK_SECRET_KEY }, piped(...bytes))
      expect(read(`data: ${stdout}`, { TIDEMARK_SECRET_KEY }).data).toBe(value)
    }
  })

  it('asks without echo where somebody types', async () => {
    const TIDEMARK_SECRET_KEY = await newKey()
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    const running = run(['seal'], { TIDEMARK_SECRET_KEY }, stdin)
    stdin.write('hiddenX\u007f4711\r')
    const { code, stdout, stderr } = await running
    expect(code).toBe(0)
    expect(stderr).toBe('value (it is not shown): \n')
    expect(stdout).not.toContain('hidden')
    expect(read(`data: ${stdout}`, { TIDEMARK_SECRET_KEY }).data).toBe('hidden4711')
  })

  it.each(['\u0003', '\u0004'])('ends where the typing is ended (%j)', async (key) => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    const running = run(['seal'], { TIDEMARK_SECRET_KEY: await newKey() }, stdin)
    stdin.write(key)
    expect(await running).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('no value was given') })
  })

  it('refuses nothing, too much and what is no text, and asks for a key first', async () => {
    const env = { TIDEMARK_SECRET_KEY: await newKey() }
    const refused = async (stdin: Readable, given: Env = env) => {
      const { code, stdout, stderr } = await run(['seal'], given, stdin)
      expect([code, stdout]).toEqual([1, ''])
      return stderr
    }
    expect(await refused(piped('\n'))).toContain('there is no value')
    expect(await refused(piped('x'.repeat(40_000), 'x'.repeat(40_000)))).toContain('larger than 65536 bytes')
    expect(await refused(piped(Buffer.from([0xff, 0xfe])))).toContain('UTF-8')
    expect(await refused(piped('hidden4711'), {})).toMatch(/^(?!.*hidden).*TIDEMARK_SECRET_KEY is not set/s)
  })

  it('takes no value on the command line', async () => {
    const { code, stdout } = await run(['seal', 'hidden4711'], { TIDEMARK_SECRET_KEY: await newKey() }, piped('x'))
    expect([code, stdout]).toEqual([2, ''])
  })
})

/** A file with every style that people write, and much that must stay. */
const layout = (one: string, two: string, three: string, four: string): string => `# tidemark of ACME — do not touch
sources:
    - name: main            # comes first
      connector: kombo
      base_url:   https://api.kombo.dev/v1
      api_key:    ${one}   # from the vault

      webhook_secret: "${two}"
      integrations: ["a:1" , 'b:2']
    - { name: knit, connector: knit, base_url: "https://k", api_key: '${three}', integrations: [] }
    - name: other
      connector: kombo
      api_key: &shared ${four}
      webhook_secret: *shared
port: 80_80 # no number
`

describe('tidemark secret reseal', () => {
  it('seals everything with the current key and changes nothing else', async () => {
    const [old, current] = [await newKey(), await newKey()]
    const [one, two, three] = [await seal('one', old), await seal('two', old), await seal('three', old)]
    const four = await seal('four', current)
    const text = layout(one, two, three, four).replace('port: 80_80', '')
    writeFileSync(file, text)
    chmodSync(file, 0o640)
    const both = { TIDEMARK_SECRET_KEY: current, TIDEMARK_SECRET_KEY_OLD: old }
    const { code, stderr } = await run(['reseal', '--config', file], both)
    expect([code, stderr]).toEqual([
      0,
      expect.stringContaining('sources[0].api_key, sources[0].webhook_secret, sources[1].api_key.'),
    ])
    const after = readFileSync(file, 'utf8')
    expect(read(after, { TIDEMARK_SECRET_KEY: current })).toEqual(read(text, both))
    const blank = (given: string): string => given.replace(/sealed:v1:[\w-]+/g, '…')
    expect(blank(after)).toBe(blank(text))
    expect(after).toContain(four)
    expect(statSync(file).mode & 0o777).toBe(0o640)
    expect(readdirSync(folder)).toEqual(['tidemark.yaml'])
    expect(await run(['reseal', '--config', file], both)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('nothing to do'),
    })
    expect(readFileSync(file, 'utf8')).toBe(after)
  })

  it('follows a link to the file, and leaves the link', async () => {
    const [old, current] = [await newKey(), await newKey()]
    const link = join(folder, 'link.yaml')
    writeFileSync(file, `data: ${await seal('x', old)}\n`)
    symlinkSync(file, link)
    await run(['reseal', '--config', link], { TIDEMARK_SECRET_KEY: current, TIDEMARK_SECRET_KEY_OLD: old })
    expect(lstatSync(link).isSymbolicLink()).toBe(true)
    expect(read(readFileSync(file, 'utf8'), { TIDEMARK_SECRET_KEY: current }).data).toBe('x')
  })

  it('leaves the file alone when one of its values cannot be read', async () => {
    const [old, lost, current] = [await newKey(), await newKey(), await newKey()]
    const text = `data: ${await seal('x', old)}\nhost: ${await seal('y', lost)}\n`
    writeFileSync(file, text)
    const keys = { TIDEMARK_SECRET_KEY: current, TIDEMARK_SECRET_KEY_OLD: old }
    const { code, stderr } = await run(['reseal', '--config', file], keys)
    expect([code, stderr]).toEqual([1, expect.stringContaining(`${file}:2: host: is sealed with the key`)])
    expect(readFileSync(file, 'utf8')).toBe(text)
    expect(readdirSync(folder)).toEqual(['tidemark.yaml'])
  })

  it('names the file that is not there', async () => {
    const keys = { TIDEMARK_SECRET_KEY: await newKey() }
    expect((await run(['reseal', '--config', file], keys)).stderr).toContain(`${file} cannot be read`)
  })
})

describe('tidemark secret seal-file', () => {
  const plain = layout('hidden one', 'hidden \\"two\\"', "hidden ''three''", 'hidden four')

  it('seals the secrets that stand there as plain text, and changes nothing else', async () => {
    const env = { TIDEMARK_SECRET_KEY: await newKey(), NAME: 'x' }
    const text = plain.replace(
      'port: 80_80 # no number',
      `kafka:
  brokers: ["a:1"]
  registry: http://r
  sasl: { mechanism: plain, username: u, password: "\${NAME}" }
  tls:
    key: |
      hidden line 1
      hidden line 2
    ca: |
      shown
postgres: >-
  postgres://u:hidden@h/d
# the end`,
    )
    writeFileSync(file, text)
    const { code, stdout, stderr } = await run(['seal-file', '--config', file], env)
    expect([code, stdout]).toEqual([0, ''])
    expect(stderr).toContain('sources[2].api_key, kafka.tls.key, postgres.')
    const after = readFileSync(file, 'utf8')
    expect(read(after, env)).toEqual(read(text, env))
    expect(after).not.toContain('hidden')
    expect(after).toMatch(/ {6}api_key: {4}sealed:v1:\S+ {3}# from the vault\n\n {6}webhook_secret: "?sealed:v1:/)
    expect(after).toContain('integrations: ["a:1" , \'b:2\']')
    expect(after).toMatch(/# the end\n$/)
    expect(await run(['seal-file', '--config', file], env)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('nothing to do'),
    })
  })

  it('is a list of keys in what it says, and no value', async () => {
    writeFileSync(file, plain)
    const { stderr } = await run(['seal-file', '--config', file], { TIDEMARK_SECRET_KEY: await newKey() })
    expect(stderr).not.toContain('hidden')
  })
})
