import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HOSTILE_PATHS } from '../../testing/hostilePaths.ts'
import { targetUrl } from './target.ts'

const BASE = 'https://acme.example/api/v2'
const refused = (work: () => unknown): boolean => {
  try {
    work()
    return false
  } catch (error) {
    expect(error).toMatchObject({ code: 'REQUEST_INVALID' })
    return true
  }
}

describe('the target of a request', () => {
  it.each([
    ['/employees/17', {}, `${BASE}/employees/17`],
    ['employees', {}, `${BASE}/employees`],
    ['', {}, `${BASE}/`],
    ['/', { a: 'b' }, `${BASE}/?a=b`],
    ['/a?x=1&x=2', { y: 'ü &?' }, `${BASE}/a?x=1&x=2&y=%C3%BC+%26%3F`],
    ['/a?next=https://x.example/..//%2e%2e', {}, `${BASE}/a?next=https://x.example/..//%2e%2e`],
    ['/files/a%2Fb', {}, `${BASE}/files/a%2Fb`],
    ['/100%25', {}, `${BASE}/100%25`],
    ['/ümlaut/...', {}, `${BASE}/%C3%BCmlaut/...`],
    ['/.well-known/..x', {}, `${BASE}/.well-known/..x`],
    ['/jobs/', {}, `${BASE}/jobs/`],
    ['/a:b@c/d;e=f', {}, `${BASE}/a:b@c/d;e=f`],
  ])('%j with %j is %s', (path, params, expected) => {
    expect(targetUrl(BASE, { path, params }).href).toBe(expected)
    expect(targetUrl(`${BASE}/`, { path, params }).href).toBe(expected)
  })

  it.each([...HOSTILE_PATHS, `/${'x'.repeat(5000)}`, `/%${'25'.repeat(20)}2e%${'25'.repeat(20)}2e`])(
    'is refused for %j',
    (path) => {
      expect(refused(() => targetUrl(BASE, { path, params: {} }))).toBe(true)
      expect(refused(() => targetUrl('http://127.0.0.1:8080', { path, params: {} }))).toBe(true)
    },
  )

  it('is bounded', () => {
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`p${i}`, '']))
    expect(refused(() => targetUrl(BASE, { path: '/', params: many }))).toBe(true)
    expect(refused(() => targetUrl(BASE, { path: '/', params: { long: 'x'.repeat(20_000) } }))).toBe(true)
  })

  it('is below the API for whoever decodes it how often, whatever the path', () => {
    const dots = ['.', '..', '%2e', '%2E', '%252e', '%25252e', '．', '‥', '%c0%ae', '%25', '%', '..;', '...']
    const slashes = ['/', '//', '\\', '%2f', '%252F', '%5c', '／', '%ef%bc%8f', '?', '#', '@', ':', ';']
    const words = ['a', 'evil.example', 'http:', 'https://', ' ', '\t', '\n', '%00', '%20', '\u0000', 'é', '\ud800']
    const token = fc.oneof(fc.constantFrom(...dots, ...slashes, ...words), fc.string({ maxLength: 3 }))
    const paths = fc.array(token, { maxLength: 10 }).map((parts) => parts.join(''))
    let sent = 0
    fc.assert(
      fc.property(paths, (path) => {
        let url: URL | undefined
        refused(() => {
          url = targetUrl(BASE, { path, params: {} })
        })
        if (url === undefined) return
        sent++
        let pathname = url.pathname
        for (let i = 0; i < 5; i++) {
          // How a lenient server reads it: backslashes are slashes, full-width characters are plain ones.
          const read = new URL(
            `https://acme.example${pathname.normalize('NFKC').replaceAll('?', '%3F').replaceAll('#', '%23')}`,
          )
          expect(read.origin).toBe('https://acme.example')
          expect(`${read.pathname}/`).toMatch(/^\/api\/v2\//)
          pathname = pathname.replace(/(%[0-9a-f]{2})+/gi, (run) =>
            Buffer.from(run.replaceAll('%', ''), 'hex').toString(),
          )
        }
      }),
      { numRuns: 5000 },
    )
    // A check that refuses everything would prove nothing.
    expect(sent).toBeGreaterThan(200)
  })
})
