import { createHash } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig, parseConfig } from './config.ts'

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
