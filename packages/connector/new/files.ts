import { execFileSync } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const ROOT = join(import.meta.dirname, '../../..')
const TEMPLATE = join(import.meta.dirname, 'template')

/** A file of a new connector. */
export interface NewFile {
  /** Below the connector's folder. */
  readonly path: string
  readonly text: string
}

/** Names of connectors: they are keys in the configuration, names of packages and of identifiers. */
export const isConnectorName = (name: string): boolean => /^[a-z][a-z0-9]{1,30}$/.test(name)

/** Files of an empty connector of this name, in the order of their paths. Throws RangeError for a name that cannot be one. */
export function newConnector(name: string): NewFile[] {
  if (!isConnectorName(name))
    throw new RangeError(`"${name}" cannot name a connector: use a-z and 0-9, beginning with a letter`)
  const pascal = `${name[0]?.toUpperCase()}${name.slice(1)}`
  return globSync('**/*.txt', { cwd: TEMPLATE })
    .sort()
    .map((path) => ({
      path: path.slice(0, -'.txt'.length),
      text: readFileSync(join(TEMPLATE, path), 'utf8').replaceAll('acme', name).replaceAll('Acme', pascal),
    }))
}

/** Writes an empty connector of this name into a folder, in the style of the repository whatever the name's length. Throws as {@link newConnector}. */
export function writeConnector(folder: string, name: string): void {
  for (const { path, text } of newConnector(name)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  execFileSync(join(ROOT, 'node_modules/.bin/biome'), ['check', '--write', `--config-path=${ROOT}`, folder])
}
