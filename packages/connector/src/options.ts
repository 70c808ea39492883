/** What the options of any connector need. Messages name keys and never repeat a value, which may be a secret. */
import { shownKey, TidemarkError } from '@tidemark/base'

/** Values that go into HTTP headers: printable ASCII, so that a mistyped secret fails here and not as a cryptic transport error. */
export const PRINTABLE = /^[\x21-\x7e]+$/

/** What is said of a value that is not {@link PRINTABLE}. */
export const printableExpected = (what: string): string =>
  `expected ${what}: printable characters without spaces, not empty`

/** True for an http or https URL without user, query and fragment. */
export function isBaseUrl(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === ''
  )
}

/** What a schema found wrong, as zod tells it. */
export interface OptionIssue {
  readonly code?: string | undefined
  readonly path: readonly PropertyKey[]
  readonly message: string
  /** Of `unrecognized_keys`. */
  readonly keys?: readonly string[]
}

/**
 * CONFIG_INVALID for the first thing that is wrong with a source's options, naming its key. `source` is what such a source is called (`a Kombo
 * source`), `options` are those that there are.
 */
export function optionInvalid(
  issue: OptionIssue | undefined,
  source: string,
  options: readonly string[],
): TidemarkError {
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys?.[0] : undefined
  // Keys are shown as far as they can be meant: without its space, `api_key:secret` is one.
  const key = (unknown === undefined ? (issue?.path ?? []) : [unknown]).map((part) => shownKey(String(part))).join('.')
  const problem =
    unknown === undefined
      ? (issue?.message ?? 'is not valid')
      : `is not an option of ${source}; the options are ${options.join(', ')}`
  return new TidemarkError('CONFIG_INVALID', `${key}: ${problem}`, { fields: { key } })
}
