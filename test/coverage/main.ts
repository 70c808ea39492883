/**
 * The table of which fields each connector delivers.
 *
 *   node test/coverage/main.ts            writes docs/coverage.md
 *   node test/coverage/main.ts --check    fails when what is committed differs from what would be written
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { collectCoverage } from './coverage.ts'
import { renderCoverage } from './table.ts'

const FILE = join(import.meta.dirname, '../../docs/coverage.md')

const text = renderCoverage(await collectCoverage())
if (!process.argv.includes('--check')) {
  writeFileSync(FILE, text)
  process.stdout.write('docs/coverage.md written\n')
} else if (existsSync(FILE) && readFileSync(FILE, 'utf8') === text) {
  process.stdout.write('docs/coverage.md is what the connectors deliver\n')
} else {
  process.stderr.write(
    'docs/coverage.md is not what the connectors deliver: run node test/coverage/main.ts and commit it\n',
  )
  process.exitCode = 1
}
