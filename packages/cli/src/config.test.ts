import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig, parseConfig } from './config.ts'
import { openKeyring } from './secrets/keys.ts'
import { seal } from './secrets/sealed.ts'

const parse = (text: string, env: Record<string, string> = {}): ReturnType<typeof parseConfig> =>
  parseConfig(text, 'tidemark.yaml', env)

describe('the configuration', () => {
  it('has defaults for everything', () => {
    expect(parse('')).toMatchObject({ mode: 'embedded', host: '127.0.0.1', partitions: 4, sources: [], api_keys: [] })
    expect(loadConfig({ flags: {}, env: {} })).toMatchObject({ data: './data', port: 8080 })
  })

  it('takes flags over the environment over the file', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'tidemark-config-')), 'c.yaml')
    writeFileSync(file, 'data: from-file\nport: 1')
    expect(loadConfig({ flags: { config: file }, env: {} })).toMatchObject({ data: 'from-file', port: 1 })
    expect(
      loadConfig({ flags: {}, env: { TIDEMARK_CONFIG: file, TIDEMARK_DATA: 'from-env', TIDEMARK_PORT: '2' } }),
    ).toMatchObject({ data: 'from-env', port: 2 })
    expect(
      loadConfig({
        flags: { config: file, data: 'from-flag', port: '3' },
        env: { TIDEMARK_DATA: 'x', TIDEMARK_PORT: '2' },
      }),
    ).toMatchObject({ data: 'from-flag', port: 3 })
  })

  it('reads the environment where the file asks for it', () => {
    const config = parse('sources:\n  - name: k\n    connector: kombo\n    api_key: "key-${KOMBO_KEY}"', {
      KOMBO_KEY: 'abc',
    })
    expect(config.sources[0]).toMatchObject({ api_key: 'key-abc' })
  })

  it('keeps of an API key only its hash', () => {
    const hash = createHash('sha256').update('a-key-of-16-letters').digest('hex')
    const [plain, hashed] = parse(
      `api_keys:
  - { name: a, key: a-key-of-16-letters, models: [jobs] }
  - { name: b, key: "sha256:${'AB'.repeat(32)}", integrations: ["x:1"], write: true }`,
    ).api_keys
    expect(plain).toEqual({ name: 'a', hash, models: ['jobs'] })
    expect(hashed).toEqual({ name: 'b', hash: 'ab'.repeat(32), integrations: ['x:1'], write: true })
  })

  it('limits requests as it is told, or not at all', () => {
    expect(parse('').api).toEqual({})
    expect(parse('api: {rate_limit: false}').api).toEqual({ rate_limit: false })
    expect(parse('api: {rate_limit: {requests: 10}}').api.rate_limit).toEqual({ requests: 10, window_seconds: 60 })
    expect(parse('api: {rate_limit: {window_seconds: 1}}').api.rate_limit).toEqual({ requests: 300, window_seconds: 1 })
  })

  it.each([
    ['api_keys:\n  - name: a\n    key: sha256:abcdefabcdef', /^tidemark\.yaml:3: api_keys\[0\]\.key: .*64 hex digits/],
    [
      'api_keys:\n  - name: a\n    key: a-key-of-16-letters\n    models: [job]',
      /^tidemark\.yaml:4: api_keys\[0\]\.models/,
    ],
    [
      'api_keys: [{name: a, key: a-key-of-16-letters}, {name: a, key: b-key-of-16-letters}]',
      /api_keys: two API keys are named "a"/,
    ],
    [
      'api_keys: [{name: a, key: a-key-of-16-letters}, {name: b, key: a-key-of-16-letters}]',
      /api_keys: "a" and "b" are the same key/,
    ],
    ['api:\n  rate_limit: 300', /^tidemark\.yaml:2: api\.rate_limit: a limit is \{requests: 300, window_seconds: 60\}/],
    ['api:\n  rate_limit: {requests: 0}', /^tidemark\.yaml:2: api\.rate_limit/],
    ['api: {rate_limits: false}', /^tidemark\.yaml:1: api\.rate_limits: unknown key/],
  ])('refuses keys and limits that are wrong (%j), without showing a key', (text, message) => {
    expect(() => parse(text)).toThrow(message)
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('of-16-letters') }),
    )
  })

  it.each([
    ['port: [1', /^tidemark\.yaml:1: not YAML/],
    ['\nport: high', /^tidemark\.yaml:2: port: /],
    ['data: x\nprot: 1', /^tidemark\.yaml:2: prot: unknown key/],
    ['api_keys:\n  - name: a\n    key: short', /^tidemark\.yaml:3: api_keys\[0\]\.key: an API key needs/],
    ['api_keys:\n  - name: a', /^tidemark\.yaml:2: api_keys\[0\]\.key: /],
    ['sources:\n  - name: "A B"\n    connector: kombo', /^tidemark\.yaml:2: sources\[0\]\.name: /],
    ['data: ok\npostgres: ${DB_URL}', /^tidemark\.yaml:2: the environment variable DB_URL is not set/],
    ['mode: kafka\npostgres: postgres://h/d', /^tidemark\.yaml:1: kafka: mode: kafka needs the key "kafka"/],
    ['mode: kafka\nkafka:\n  brokers: [a]', /^tidemark\.yaml:3: kafka\.brokers\[0\]: a broker is host:port/],
    ['kafka:\n  brokers: ["a:1"]\n  registry: r', /^tidemark\.yaml:3: kafka\.registry: the registry is a http/],
    [
      'kafka:\n  brokers: ["a:1"]\n  registry: http://r\n  sasl: {mechanism: gssapi}',
      /^tidemark\.yaml:4: kafka\.sasl\.mechanism: /,
    ],
    ['sources: [{name: a, connector: kombo}, {name: a, connector: kombo}]', /two sources are named "a"/],
  ])('that is wrong (%j) stops with the line and the key', (text, message) => {
    expect(() => parse(text)).toThrow(message)
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })

  it('refuses a port that is none, naming where it came from', () => {
    expect(() => loadConfig({ flags: { port: 'eighty' }, env: {} })).toThrow(/--port: "eighty"/)
    expect(() => loadConfig({ flags: {}, env: { TIDEMARK_PORT: '70000' } })).toThrow(/TIDEMARK_PORT: "70000"/)
  })

  it('says so when the named file is missing', () => {
    expect(() => loadConfig({ flags: { config: '/nowhere/t.yaml' }, env: {} })).toThrow(
      /\/nowhere\/t\.yaml cannot be read/,
    )
  })
})

describe('a sealed value in the configuration', () => {
  const env = { TIDEMARK_SECRET_KEY: Buffer.alloc(32, 7).toString('base64') }
  const other = { TIDEMARK_SECRET_KEY: Buffer.alloc(32, 8).toString('base64') }
  const { current } = openKeyring(env)
  const sealed = (text: string): string => seal(text, current, randomBytes)
  const file = (value: string): string => `sources:\n  - name: k\n    connector: kombo\n    api_key: ${value}\n`
  const apiKey = (text: string, given: Record<string, string>) => parse(text, given).sources[0]?.['api_key']

  it('stands for its text, in any style of YAML and in a variable', () => {
    const value = sealed('the key: ${NOT_A_VARIABLE}')
    const styles = [value, `"${value}"`, `'${value}'`, `|\n      ${value}`, `>-\n      ${value}\n`]
    for (const style of styles) expect(apiKey(file(style), env)).toBe('the key: ${NOT_A_VARIABLE}')
    expect(apiKey(file('${KEY}'), { ...env, KEY: value })).toBe('the key: ${NOT_A_VARIABLE}')
    expect(apiKey(`sources: [{name: k, connector: kombo, api_key: ${value}}]`, env)).toBe('the key: ${NOT_A_VARIABLE}')
  })

  it('may be any text, of tidemark itself too', () => {
    const text = `mode: kafka\npostgres: ${sealed('postgres://u:pw@h/d')}\nkafka: {brokers: ["a:1"], registry: "http://r", sasl: {mechanism: plain, username: u, password: ${sealed('pw')}}}`
    expect(parse(text, env)).toMatchObject({ postgres: 'postgres://u:pw@h/d', kafka: { sasl: { password: 'pw' } } })
    const key = parse(`api_keys: [{name: a, key: ${sealed('a-key-of-16-letters')}}]`, env).api_keys[0]
    expect(key?.hash).toBe(createHash('sha256').update('a-key-of-16-letters').digest('hex'))
  })

  it('needs no key where nothing is sealed', () => {
    expect(apiKey(file('plain'), {})).toBe('plain')
    expect(apiKey(file('plain'), { TIDEMARK_SECRET_KEY: 'wrong' })).toBe('plain')
  })

  it.each([
    ['without a key', sealed('hidden4711'), {}, 'TIDEMARK_SECRET_KEY is not set'],
    [
      'with a key of the wrong length',
      sealed('hidden4711'),
      { TIDEMARK_SECRET_KEY: 'c2hvcnQ=' },
      'a key is 32 bytes in base64, this is 5 bytes',
    ],
    [
      'that another key sealed',
      sealed('hidden4711'),
      other,
      `is sealed with the key ${current.id}, which is not there`,
    ],
    ['that was cut', sealed('hidden4711').slice(0, -3), env, 'is sealed, but damaged'],
    ['that is nothing', '"sealed:v1:"', env, 'is sealed, but damaged'],
    ['of another version', sealed('hidden4711').replace('v1', 'v9'), env, 'in a form that this tidemark does not know'],
  ])('%s stops with line, key and what to do', (_what, value, given, message) => {
    const refused = expect.objectContaining({
      ...{ code: 'CONFIG_INVALID', fields: { key: 'sources[0].api_key' } },
      message: expect.stringMatching(/^tidemark\.yaml:4: sources\[0\]\.api_key: (?!.*hidden)/),
    })
    expect(() => parse(file(value), given as Record<string, string>)).toThrow(refused)
    expect(() => parse(file(value), given as Record<string, string>)).toThrow(message)
  })
})

describe('what is said of a file that is no YAML, or has wrong keys', () => {
  const S = 'hidden4711'
  const values = [
    ...[
      `"${S}`,
      `'${S}`,
      `*${S}`,
      `!${S}`,
      `@${S}`,
      `\`${S}`,
      `%${S}`,
      `[${S}`,
      `{${S}`,
      `- ${S}`,
      `x: ${S}: y`,
      `"\\q${S}"`,
    ],
    ...[
      `"\\u${S}"`,
      `|${S}`,
      `"a" ${S}`,
      `${S}\n   ${S}: x`,
      `]${S}`,
      `}${S}`,
      `!!${S} x`,
      `*${S} x`,
      `---\n${S}`,
      `...\n${S}: [`,
    ],
  ]
  const files = [
    (value: string) => `sources:\n  - name: a\n    connector: kombo\n    api_key: ${value}\n    webhook_secret: x\n`,
    (value: string) => `sources: [{name: a, connector: kombo, api_key: ${value}}]`,
    (value: string) =>
      `kafka: {brokers: ["a:1"], registry: http://r, sasl: {mechanism: plain, username: u, password:${value}}}`,
    (value: string) => `postgres: ${value}\nport: none`,
    (value: string) => `diff: {tracked: [], x_key:${value}}`,
    (value: string) => `port:${value}`,
  ]

  it('never quotes a value', () => {
    const messages: string[] = []
    for (const text of files.flatMap((file) => values.map(file)))
      try {
        parse(text)
      } catch (error) {
        expect(error, text).toMatchObject({ code: 'CONFIG_INVALID' })
        const { message, stack, fields, cause } = error as Error & { fields: object }
        expect(JSON.stringify([message, stack, fields, String(cause), cause]), text).not.toMatch(/hidden|4711/)
        messages.push(message)
      }
    expect(messages.length).toBeGreaterThan(values.length * 3)
    expect(messages).toContain('tidemark.yaml:1: diff.x_key…: unknown key')
  })
})
