import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createEventParser, getJson } from './client.ts'
import { createStyle } from './colors.ts'
import { displayValue, formatChange } from './feed.ts'

describe('the event parser', () => {
  const text =
    ': hello\n\nid: a\nevent: change\ndata: {"x":1}\n\ndata: one\ndata:two\r\n\r\nid\ndata: last\n\ndata: unfinished\n'

  it('gives the same events wherever the text is cut', () => {
    const whole = createEventParser()(text)
    expect(whole).toEqual([
      { id: 'a', event: 'change', data: '{"x":1}' },
      { id: 'a', event: 'message', data: 'one\ntwo' },
      { id: '', event: 'message', data: 'last' },
    ])
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 8 }), (cuts) => {
        const parser = createEventParser()
        const at = [0, ...cuts.sort((a, b) => a - b), text.length]
        expect(at.slice(1).flatMap((end, i) => parser(text.slice(at[i], end)))).toEqual(whole)
      }),
    )
  })

  it('refuses an event without end', () => {
    const parser = createEventParser()
    expect(() => {
      for (let i = 0; i < 20; i++) parser('x'.repeat(1024 * 1024))
    }).toThrow(/without end/)
  })
})

describe('a request that is one too many', () => {
  const refused = (status: number, code: string, seconds = '7'): Response =>
    Response.json({ error: { code, message: 'no' } }, { status, headers: { 'retry-after': seconds } })
  const answers: Response[] = []
  const waits: number[] = []
  const target = { url: 'http://nowhere.example', key: undefined, wait: async (ms: number) => void waits.push(ms) }
  beforeEach(() => {
    answers.length = 0
    waits.length = 0
    vi.stubGlobal('fetch', async () => answers.shift() ?? Response.json({ done: true }))
  })
  afterEach(() => vi.unstubAllGlobals())

  it('waits as long as the server says, a minute at most, and is sent again', async () => {
    answers.push(refused(429, 'PLATFORM.RATE_LIMIT_EXCEEDED'), refused(429, 'PLATFORM.RATE_LIMIT_EXCEEDED', '9000'))
    expect(await getJson(target, '/v1/status')).toEqual({ done: true })
    expect(waits).toEqual([7000, 60_000])
  })

  it('is given up in the end', async () => {
    for (let n = 0; n < 9; n++) answers.push(refused(429, 'PLATFORM.RATE_LIMIT_EXCEEDED'))
    await expect(getJson(target, '/v1/status')).rejects.toMatchObject({ status: 429, message: 'no' })
    expect(waits).toHaveLength(5)
  })

  it.each([
    ['another refusal', refused(429, 'PLATFORM.CONCURRENCY_LIMIT_EXCEEDED')],
    ['a refused key', refused(401, 'PLATFORM.AUTHENTICATION_INVALID')],
  ])('is not %s', async (_name, answer) => {
    answers.push(answer)
    await expect(getJson(target, '/v1/status')).rejects.toMatchObject({ status: answer.status })
    expect(waits).toEqual([])
  })
})

describe('the feed', () => {
  const change = {
    event_id: '0-1',
    integration_id: 'x:1',
    model: 'applications',
    id: 'A1',
    version: 2,
    op: 'updated',
    changed_at: '2026-03-01T09:08:07.000Z',
    changes: [{ path: '/current_stage_id', op: 'replace', before: 's1', after: 's2' }],
  }

  it('reads like a sentence', () => {
    const display = {
      title: 'Frodo Baggins / Backend Engineer',
      lines: [{ field: 'current_stage', before: 'Screening', after: 'Interview' }],
    }
    expect(formatChange({ ...change, display }, createStyle(false))).toBe(
      '09:08:07 ~ applications Frodo Baggins / Backend Engineer: current_stage Screening -> Interview',
    )
    expect(formatChange({ ...change, op: 'deleted', display }, createStyle(false))).toBe(
      '09:08:07 - applications Frodo Baggins / Backend Engineer: deleted',
    )
  })

  it('falls back to ids and paths', () => {
    expect(formatChange(change, createStyle(false))).toBe('09:08:07 ~ applications A1: current_stage_id s1 -> s2')
  })

  it('lets no provider text move the cursor, and keeps values short', () => {
    expect(displayValue('a\u001b[2Jb\nc')).toBe('a [2Jb c')
    expect(displayValue('x'.repeat(500))).toHaveLength(60)
    expect(displayValue(null)).toBe('∅')
  })
})
