import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Config, loadConfig } from '../config.ts'
import { CONNECTORS } from '../runtime/connectors.ts'
import { secretTexts, secretValues, secretWarnings } from './secretKeys.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-secrets-'))
})

afterEach(() => rmSync(folder, { recursive: true }))

function load(text: string, mode = 0o600): Config {
  const config = join(folder, 'tidemark.yaml')
  writeFileSync(config, text)
  chmodSync(config, mode)
  return loadConfig({ flags: { config }, env: { NAME: 'from-the-environment', TIDEMARK_SECRET_KEY: 'AAAA' } })
}

const KAFKA = `mode: kafka
postgres: "postgres://u:p%40ss-of-postgres@h/d"
kafka:
  brokers: ["a:1"]
  registry: "http://u:pass-of-registry@r"
  tls: { ca: a-certificate, key: key-of-tls }
  sasl: { mechanism: plain, username: u, password: pass-of-sasl }
`

describe('secrets of a configuration', () => {
  it('are what the connectors name, and what tidemark logs in with', () => {
    expect(secretValues(load(KAFKA)).map(({ key, secret }) => [key, secret])).toEqual([
      ['kafka.sasl.password', 'pass-of-sasl'],
      ['kafka.tls.key', 'key-of-tls'],
      ['kafka.registry', 'pass-of-registry'],
      ['postgres', 'p@ss-of-postgres'],
    ])
    for (const [name, { secretOptions }] of CONNECTORS) {
      const options = secretOptions.map((option) => `${option}: the-${option}`).join(', ')
      const config = load(`sources: [{ name: one, connector: ${name}, base_url: "https://x", ${options} }]`)
      expect(secretTexts(config)).toEqual(secretOptions.map((option) => `the-${option}`))
    }
    expect(secretTexts(load('postgres: postgres://h/d\nsources: [{ name: a, connector: none, api_key: x }]'))).toEqual(
      [],
    )
  })
})

describe('a warning', () => {
  const plain = 'sources:\n  - name: k\n    connector: kombo\n    api_key: hidden4711\n    webhook_secret: hidden4712\n'

  it('names the keys and lines of what stands there as plain text, once, and no value', () => {
    const [warning, ...more] = secretWarnings(load(plain))
    expect(warning).toContain(
      'tidemark.yaml: sources[0].api_key (line 4), sources[0].webhook_secret (line 5) stand there',
    )
    expect(warning).not.toContain('hidden')
    expect(more).toEqual([])
  })

  it.runIf(process.platform !== 'win32')('tells of a file with such secrets that everybody may read', () => {
    expect(secretWarnings(load(plain, 0o644))).toEqual([expect.any(String), expect.stringContaining('chmod 600')])
    expect(secretWarnings(load(plain, 0o640))).toHaveLength(1)
    expect(secretWarnings(load('port: 1', 0o644))).toEqual([])
  })

  it('is not given for values from the environment, nor without a file', () => {
    const good = `sources:\n  - { name: k, connector: kombo, api_key: "\${NAME}", webhook_secret: "a-\${NAME}" }\n`
    expect(secretWarnings(load(good, 0o644))).toEqual([])
    expect(secretWarnings(load('postgres: postgres://u@h/d', 0o644))).toEqual([])
    expect(secretWarnings(loadConfig({ flags: {}, env: {} }))).toEqual([])
  })

  it('is given for a password in a URL', () => {
    expect(secretWarnings(load(KAFKA))[0]).toMatch(/kafka\.sasl\.password .* postgres \(line 2\)/)
  })
})
