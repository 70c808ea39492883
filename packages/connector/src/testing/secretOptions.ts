/** What every connector promises about the secrets among its options. For tests only. */
import type { TidemarkError } from '@tidemark/base'
import { expect, it } from 'vitest'
import type { Connector } from '../connector.ts'
import type { Rig } from './rig.ts'

/** Part of every wrong value; a message that holds it holds a value. */
const MARK = 'hidden4711'

/** What people enter by mistake where a text is expected. */
const WRONG: readonly unknown[] = [
  `two ${MARK}`,
  `${MARK}\n`,
  `${MARK}\u0000ü`,
  MARK.repeat(10_000),
  [MARK],
  [[MARK]],
  { secret: MARK },
  `https://user:${MARK}@example.com/`,
  `https://example.com/?key=${MARK}`,
]

/** Keys that hold a value, because a space or a quote was forgotten. */
const WRONG_KEYS = [`api_key:${MARK}`, `"api_key":${MARK}`, ` ${MARK}`]

export function secretOptionCases(rig: Rig, connector: Connector): void {
  it('names those that hold one', () => {
    const { options, secrets } = rig.standIn
    expect(connector.secretOptions.length).toBeGreaterThan(0)
    for (const name of connector.secretOptions) {
      expect(() => connector.parseOptions({ ...options, [name]: 'x'.repeat(20) }), name).not.toThrow()
      if (options[name] !== undefined) expect(secrets).toContain(options[name])
    }
    for (const [name, value] of Object.entries(options))
      if (secrets.includes(value as string)) expect(connector.secretOptions).toContain(name)
  })

  it('repeats no value of any option in what it says is wrong', () => {
    const { options } = rig.standIn
    const names = new Set([...Object.keys(options), ...connector.secretOptions])
    let refused = 0
    for (const name of names)
      for (const value of WRONG) refused += expectNoValue(connector, { ...options, [name]: value }) ? 1 : 0
    // A base URL alone can be none of these.
    expect(refused).toBeGreaterThanOrEqual(WRONG.length)
  })

  it('repeats no value that became part of a key', () => {
    for (const key of WRONG_KEYS)
      expect(expectNoValue(connector, { ...rig.standIn.options, [key]: null }), key).toBe(true)
  })
}

/** True when the options were refused. */
function expectNoValue(connector: Connector, options: Readonly<Record<string, unknown>>): boolean {
  try {
    connector.parseOptions(options)
    return false
  } catch (error) {
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
    const { message, stack, fields, cause } = error as TidemarkError
    expect(JSON.stringify([message, stack, fields, String(cause), cause])).not.toContain(MARK)
    return true
  }
}
