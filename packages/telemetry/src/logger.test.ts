import { TidemarkError } from '@tidemark/base'
import { beforeEach, expect, it } from 'vitest'
import { createLogger, type Logger } from './logger.ts'

const SECRET = 'pass/"word"-4711'

let lines: string
let logger: Logger

beforeEach(() => {
  lines = ''
  const destination = {
    write: (line: string) => {
      lines += line
    },
  }
  logger = createLogger({ level: 'trace', destination, secrets: [SECRET] })
})

it('writes no known secret, wherever it stands in a line', () => {
  const cause = new Error(`Invalid URL: postgres://u:${encodeURIComponent(SECRET)}@h/d`)
  const error = new TidemarkError('PROVIDER_REFUSED', `they said: ${SECRET}`, { cause, fields: { said: SECRET } })
  logger.error({ err: error, deep: { list: [{ a: { b: { c: SECRET } } }] }, [SECRET]: 1 }, `and ${SECRET}`)
  expect(lines).not.toContain('4711')
  expect(lines.match(/\*\*\*/g)?.length).toBeGreaterThan(5)
  const line = JSON.parse(lines) as { msg: string; err: { code: string } }
  expect(line).toMatchObject({ msg: 'and ***', err: { code: 'PROVIDER_REFUSED' } })
})

it('writes nothing that is named like a secret, known or not', () => {
  const options = { api_key: 'hidden', second_api_key: 'hidden', secretAccessKey: 'hidden', name: 'acme' }
  logger.info({ ...options, source: options, request: { headers: { authorization: 'hidden', host: 'h' } } })
  expect(lines).not.toContain('hidden')
  expect(JSON.parse(lines)).toMatchObject({ name: 'acme', request: { headers: { host: 'h' } } })
})
