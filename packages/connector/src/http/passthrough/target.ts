/** Where a passthrough request goes. The tenant's credentials go with it, so it must not leave the API, whoever reads its path. */
import { TidemarkError } from '@tidemark/base'
import type { PassthroughRequest } from '../../passthrough.ts'

const PATH_CHARS_MAX = 4096
const URL_CHARS_MAX = 16_384
const PARAMS_MAX = 100
/** How often servers behind one another may decode a path. */
const DECODINGS_MAX = 8

export const requestInvalid = (message: string): TidemarkError => new TidemarkError('REQUEST_INVALID', message)

/**
 * The URL of a request below `baseUrl` (with or without path, without query). Throws REQUEST_INVALID for a path that is, or after decoding it any
 * number of times becomes, anything else than segments below that: an absolute URL, `//`, `.`, `..`, a backslash, a control character.
 */
export function targetUrl(baseUrl: string, { path, params }: Pick<PassthroughRequest, 'path' | 'params'>): URL {
  const { pathname, query } = splitPath(path)
  checkPath(pathname)
  if (Object.keys(params).length > PARAMS_MAX)
    throw requestInvalid(`params: there are more than ${PARAMS_MAX}; send fewer.`)
  const search = [query, String(new URLSearchParams(params))].filter((part) => part !== '').join('&')
  const base = new URL(`${baseUrl.replace(/\/+$/, '')}/`)
  const url = URL.parse(`${base.href}${pathname.replace(/^\//, '')}${search === '' ? '' : `?${search}`}`)
  if (url === null || !isBelow(url, base)) throw outside()
  if (url.href.length > URL_CHARS_MAX)
    throw requestInvalid(`The path and its params are longer than ${URL_CHARS_MAX} characters; send less.`)
  return url
}

/** Checks the path and params of a request whose API's base URL only somebody else knows. Throws as {@link targetUrl}. */
export function checkTarget(request: Pick<PassthroughRequest, 'path' | 'params'>): void {
  targetUrl('https://api.invalid/base', request)
}

function splitPath(path: string): { readonly pathname: string; readonly query: string } {
  if (path.length > PATH_CHARS_MAX)
    throw requestInvalid(`path: it is longer than ${PATH_CHARS_MAX} characters; send parameters as params.`)
  if (!path.isWellFormed() || path.includes('#')) throw outside()
  const at = path.indexOf('?')
  return at < 0 ? { pathname: path, query: '' } : { pathname: path.slice(0, at), query: path.slice(at + 1) }
}

/** Would be taken out, or taken for a slash, by parsers of URLs. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const UNSAFE = /[\u0000-\u001f\u007f\\]|\/\//
const ABSOLUTE = /^\s*[a-z][a-z0-9+.-]*:/i

function checkPath(pathname: string): void {
  if (ABSOLUTE.test(pathname) || /\s/.test(pathname)) throw outside()
  try {
    // Also says no to overlong forms of `.` and `/`.
    decodeURIComponent(pathname)
  } catch {
    throw requestInvalid(
      'path: it holds a % that does not begin an encoded UTF-8 character; write %25 for a percent sign.',
    )
  }
  let text = pathname
  for (let decodings = 0; ; decodings++) {
    if (isUnsafe(text) || isUnsafe(text.normalize('NFKC'))) throw outside()
    const decoded = decode(text)
    if (decoded === text) return
    if (decodings >= DECODINGS_MAX) throw outside()
    text = decoded
  }
}

/** Once, as the next server might; what is no UTF-8 byte by byte. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  }
}

const isUnsafe = (text: string): boolean => UNSAFE.test(text) || text.split('/').some(isDots)

/** `.` and `..`, also as servers read them that cut off parameters (`..;x`) and spaces. */
const isDots = (segment: string): boolean => /^\s*\.{1,2}\s*(;.*)?$/s.test(segment)

const isBelow = (url: URL, base: URL): boolean =>
  url.origin === base.origin && url.username === '' && url.password === '' && url.pathname.startsWith(base.pathname)

const outside = (): TidemarkError =>
  requestInvalid(
    'path: expected a path below the API, such as /employees/17?fields=name. Absolute URLs, //, . and .. segments (also encoded), backslashes, spaces and # are refused, because the credentials must not leave the API.',
  )
