/** No secret comes back, whatever is answered. For tests only. */
import { TidemarkError } from '@tidemark/base'
import { expect } from 'vitest'

/** What nobody looks at: bodies as received, and what they map to, are data of the provider. */
const DATA = new Set(['body', 'mapped'])

/** Everything that is told of a piece of work, as text: routes, headers, messages, fields and causes. */
const told = (of: unknown): string =>
  JSON.stringify(of, (name, value: unknown) => {
    if (DATA.has(name)) return undefined
    if (!(value instanceof Error)) return value
    const { message, stack, cause } = value
    return { message, stack, cause, ...(value instanceof TidemarkError ? { fields: value.fields } : {}) }
  })

/** Fails when pages, checks, messages or an error show one of these texts. */
export function expectNoSecret(secrets: readonly string[], of: unknown): void {
  const text = told(of)
  for (const secret of secrets) expect(text, 'a secret of the options is told').not.toContain(secret)
}
