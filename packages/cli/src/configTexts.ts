/** What stands in a configuration file for something else: `${NAME}` for the environment's value, `sealed:v1:…` for a sealed one. */
import { TidemarkError } from '@tidemark/base'
import { type ConfigDocument, type ConfigText, textsOf } from './configDocument.ts'
import { type Keyring, openKeyring } from './secrets/keys.ts'
import { isSealed, unseal } from './secrets/sealed.ts'

type Env = Readonly<Record<string, string | undefined>>

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g

/** True for a text that stands for itself: not sealed, and nothing of it from the environment. */
export const isPlain = (text: string): boolean => !isSealed(text) && text.search(VARIABLE) < 0

/**
 * Replaces texts in the document by what they stand for, and returns the lines of those that stand for themselves by key. A variable may hold a
 * sealed value. Throws CONFIG_INVALID with line and key for an unset variable, and for what cannot be unsealed.
 */
export function resolveTexts(document: ConfigDocument, env: Env): Map<string, number> {
  const plain = new Map<string, number>()
  const unsealed = unsealer(env)
  for (const found of textsOf(document)) {
    const { node, isKey, key, line } = found
    if (!isKey && isPlain(node.value)) plain.set(key, line)
    const text = expand(node.value, document.path, found, env)
    node.value = !isKey && isSealed(text) ? at(document.path, found, () => unsealed(text)) : text
  }
  return plain
}

/** Unseals with the keys of the environment, which are read at the first call. */
export function unsealer(env: Env): (sealed: string) => string {
  let keyring: Keyring | undefined
  return (sealed) => {
    keyring ??= openKeyring(env)
    return unseal(sealed, keyring)
  }
}

/** Runs `work` on a value; what is wrong with it is told with its file, line and key. */
export function at<T>(path: string, { line, key }: Pick<ConfigText, 'line' | 'key'>, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error
    throw new TidemarkError(error.code, `${path}:${line}: ${key}: ${error.message}`, { fields: { key } })
  }
}

/** An unset name is an error, not an empty text. */
function expand(text: string, path: string, { line }: ConfigText, env: Env): string {
  return text.replace(VARIABLE, (_text, name: string) => {
    const value = env[name]
    if (value === undefined)
      throw new TidemarkError('CONFIG_INVALID', `${path}:${line}: the environment variable ${name} is not set`, {
        fields: { key: name },
      })
    return value
  })
}
