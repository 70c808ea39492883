/** A configuration file as YAML: where its keys stand, and what is said of them. Messages hold keys and lines, never a value. */
import { shownKey, TidemarkError } from '@tidemark/base'
import { type Document, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument, type Scalar, visit } from 'yaml'

/** A parsed file. */
export interface ConfigDocument {
  readonly document: Document
  readonly lines: LineCounter
  /** For messages only. */
  readonly path: string
}

/** A text in the file. */
export interface ConfigText {
  readonly node: Scalar<string>
  /** True for one that names a value. */
  readonly isKey: boolean
  /** Name of its key, such as `sources[0].api_key`. */
  readonly key: string
  readonly line: number
}

/** Parses YAML. Throws CONFIG_INVALID naming the line; what YAML's own message quotes of the file is left out. */
export function parseYaml(text: string, path: string): ConfigDocument {
  const lines = new LineCounter()
  // Its pretty errors hold the lines around the mistake.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [broken] = document.errors
  if (!broken) return { document, lines, path }
  const { line } = lines.linePos(broken.pos[0])
  throw new TidemarkError('CONFIG_INVALID', `${path}:${line}: not YAML: ${withoutQuotes(broken.message)}`)
}

/** YAML's messages quote behind a colon, or end with what was found. */
const withoutQuotes = (message: string): string =>
  message.replace(/(:|Invalid escape sequence|Plain value cannot start with).*$/s, (_all, words: string) =>
    words === ':' ? '' : words === 'Invalid escape sequence' ? words : 'a plain value cannot start like this; quote it',
  )

/** The values of the whole file. Throws CONFIG_INVALID where an alias leads nowhere. */
export function valuesOf({ document, path }: ConfigDocument): unknown {
  try {
    return document.toJS() ?? {}
  } catch {
    // What is thrown names the alias, which is a value that begins with an asterisk.
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${path}: not YAML: an alias (*name) without its anchor (&name); quote values that begin with an asterisk`,
    )
  }
}

/** Every text, in the order of the file. */
export function textsOf({ document, lines }: ConfigDocument): ConfigText[] {
  const found: ConfigText[] = []
  visit(document, {
    Scalar(place, node, ancestors) {
      if (typeof node.value !== 'string') return
      const line = node.range ? lines.linePos(node.range[0]).line : 1
      const key = keyName(keyOf([...ancestors, node]))
      found.push({ node: node as Scalar<string>, isKey: place === 'key', key, line })
    },
  })
  return found
}

function keyOf(chain: readonly unknown[]): PropertyKey[] {
  return chain.flatMap((part, i): PropertyKey[] => {
    if (isPair(part)) return [isScalar(part.key) ? String(part.key.value) : '?']
    if (isSeq(part)) return [part.items.indexOf(chain[i + 1])]
    return []
  })
}

export const keyName = (key: readonly PropertyKey[]): string =>
  key
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${shownKey(String(part))}`))
    .join('') || '(whole file)'

/** Line of the deepest part of the key that exists. */
export function lineOf({ document, lines }: ConfigDocument, key: readonly PropertyKey[]): number {
  for (let depth = key.length; depth > 0; depth--) {
    const parent = document.getIn(key.slice(0, depth - 1), true) as { items?: { key?: Node }[] } | undefined
    const own = parent?.items?.find((pair) => isScalar(pair.key) && pair.key.value === key[depth - 1])?.key
    const node = own ?? (document.getIn(key.slice(0, depth), true) as Node | undefined)
    if (node?.range) return lines.linePos(node.range[0]).line
  }
  return 1
}
