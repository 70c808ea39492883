/** Shorter texts are also words of our own messages, which would become unreadable; no provider's secret is as short. */
const SECRET_CHARS_MIN = 8

/** What stands where a secret stood. */
const MASK = '***'

/**
 * Makes a function that replaces every one of `secrets` in a text by `***`: as it is, and as it looks in a URL, in a form, in JSON (also with
 * escaped slashes) and in HTML. Secrets of fewer than 8 characters are left alone.
 */
export function createRedactor(secrets: readonly string[]): (text: string) => string {
  const forms = secrets.filter((secret) => secret.length >= SECRET_CHARS_MIN).flatMap(formsOf)
  if (forms.length === 0) return (text) => text
  // The longest first: a secret may begin with another one.
  const longestFirst = [...new Set(forms)].sort((a, b) => b.length - a.length)
  const any = new RegExp(longestFirst.map(escapeForPattern).join('|'), 'g')
  return (text) => text.replace(any, MASK)
}

function formsOf(secret: string): string[] {
  const json = inJson(secret)
  const html = secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
  const wellFormed = secret.toWellFormed()
  const form = String(new URLSearchParams([['', wellFormed]])).slice(1)
  // A text of JSON is often quoted in JSON once more.
  const jsons = [json, inJson(json)].flatMap((text) => [text, text.replaceAll('/', '\\/')])
  return [secret, encodeURI(wellFormed), encodeURIComponent(wellFormed), form, ...jsons, html]
}

const inJson = (text: string): string => JSON.stringify(text).slice(1, -1)

const escapeForPattern = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

const KEY_CHARS_MAX = 60

/**
 * A key of the configuration as it may be shown. One that nobody could have meant is cut where it goes wrong: `{api_key:secret}`, without a space,
 * is a key that holds the secret.
 */
export function shownKey(key: string): string {
  const sane = /^[\w.-]*/.exec(key)?.[0].slice(0, KEY_CHARS_MAX) ?? ''
  return sane === key ? key : `${sane}…`
}
