/** Headers of passthrough requests and of their answers. */
import { requestInvalid } from './target.ts'

/** Set by the connection or by the connector: who is asked, as whom, and how bytes travel. */
const OWN: ReadonlySet<string> = new Set([
  ...['authorization', 'proxy-authorization', 'cookie', 'cookie2', 'host', 'content-length', 'transfer-encoding'],
  ...['connection', 'proxy-connection', 'keep-alive', 'te', 'trailer', 'upgrade', 'expect', 'accept-encoding'],
])

const HEADERS_MAX = 50
const VALUE_CHARS_MAX = 8192
const NAME = /^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/
const VALUE = /^[\t\x20-\x7e]*$/

/**
 * The caller's headers, names in lower case. Throws REQUEST_INVALID for one that the connector sets itself (`own` names those of its provider), and
 * for what no header can be. Never repeats a value, which may be a secret.
 */
export function callerHeaders(
  headers: Readonly<Record<string, string>>,
  own: readonly string[] = [],
): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name.trim().toLowerCase(), value] as const)
  if (entries.length > HEADERS_MAX) throw requestInvalid(`headers: there are more than ${HEADERS_MAX}; send fewer.`)
  for (const [name, value] of entries) {
    if (!NAME.test(name)) throw requestInvalid('headers: one has a name that no header can have.')
    if (OWN.has(name) || own.includes(name))
      throw requestInvalid(`headers: ${name} is set by tidemark and cannot be replaced; leave it out.`)
    if (!VALUE.test(value) || value.length > VALUE_CHARS_MAX)
      throw requestInvalid(
        `headers: ${name} has a value that is none: printable ASCII, at most ${VALUE_CHARS_MAX} characters.`,
      )
  }
  return Object.fromEntries(entries)
}

/** Names that say cookies, credentials or tokens. */
const SECRET = /cookie|authori[sz]ation|authentication-info|token|secret|password|api-?key|session/i

/** Headers of an answer as the caller may see them, names in lower case. */
export function shownHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const all = Object.entries(headers).map(([name, value]): [string, string] => [name.toLowerCase(), value])
  return Object.fromEntries(all.filter(([name]) => !SECRET.test(name)))
}
