/** The list of what a new connector still lacks, as a test. For tests only. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

/** What stands as `unwritten` in the files of a connector's folder, each once, in the order of the files. */
export function unwrittenIn(folder: URL): string[] {
  const root = fileURLToPath(folder)
  const found = globSync(['src/*.ts', 'test/*.ts'], { cwd: root })
    .sort()
    .flatMap((file) => [...readFileSync(join(root, file), 'utf8').matchAll(/\bunwritten\(\s*'([^']+)'/g)])
    .map(([, what]) => what as string)
  return [...new Set(found)]
}

/** A test that fails with the list of what is left to write in a connector's folder. True when nothing is. */
export function allWritten(folder: URL): boolean {
  const left = unwrittenIn(folder)
  it('is written', () => {
    if (left.length > 0) expect.fail(`left to write:\n${left.map((what) => `  - ${what}`).join('\n')}`)
  })
  return left.length === 0
}
