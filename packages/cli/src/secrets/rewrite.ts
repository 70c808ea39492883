/** Changing values of a configuration file in its text, so that comments and layout stay. */
import { isDeepStrictEqual } from 'node:util'
import { TidemarkError } from '@tidemark/base'
import { Scalar } from 'yaml'
import { type ConfigText, parseYaml, textsOf, valuesOf } from '../configDocument.ts'
import { at } from '../configTexts.ts'
import { isSealed } from './sealed.ts'

/** A changed file. */
export interface Rewritten {
  readonly text: string
  /** Names of the keys whose values were changed, in the order of the file. */
  readonly keys: readonly string[]
}

interface RewriteOptions {
  /** For messages only. */
  readonly path: string
  /** The sealed text that replaces a value; undefined leaves it. What it throws is told with line and key. */
  readonly replace: (value: string, key: string) => string | undefined
  readonly unseal: (sealed: string) => string
}

/** Replaces values by sealed ones. Throws CONFIG_INVALID, and rather than give a file that means something else. */
export function rewriteValues(text: string, { path, replace, unseal }: RewriteOptions): Rewritten {
  const parts: string[] = []
  const keys: string[] = []
  let end = 0
  for (const found of textsOf(parseYaml(text, path))) {
    if (found.isKey || !found.node.range) continue
    const sealed = at(path, found, () => replace(found.node.value, found.key))
    if (sealed === undefined) continue
    const [from, to] = found.node.range
    parts.push(text.slice(end, from), replaced(text.slice(from, to), found, sealed))
    keys.push(found.key)
    end = to
  }
  const rewritten = parts.join('') + text.slice(end)
  if (!isDeepStrictEqual(meaning(rewritten, path, unseal), meaning(text, path, unseal)))
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${path}: its layout could not be kept, so it was left as it is; write ${keys.join(', ')} on a line of its own, in quotes`,
    )
  return { text: rewritten, keys }
}

/** Quotes stay; blocks of several lines become one line. */
function replaced(source: string, { node }: ConfigText, sealed: string): string {
  const isBlock = node.type === Scalar.BLOCK_LITERAL || node.type === Scalar.BLOCK_FOLDED
  if (isBlock) return source.endsWith('\n') ? `${sealed}\n` : sealed
  return source.includes(node.value) ? source.replace(node.value, () => sealed) : sealed
}

/** The values with what is sealed unsealed. */
function meaning(text: string, path: string, unseal: (sealed: string) => string): unknown {
  const document = parseYaml(text, path)
  for (const found of textsOf(document)) {
    const { node, isKey } = found
    if (!isKey && isSealed(node.value)) node.value = at(path, found, () => unseal(node.value))
  }
  return valuesOf(document)
}
