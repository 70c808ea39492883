/**
 * The whole test suite, as `npm test` and CI run it: formatting and lint, types, schema drift, then every vitest file.
 * The last line is "N passed, N failed, N skipped"; each of the checks before vitest counts as one.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const bin = (name: string): string => join(ROOT, 'node_modules/.bin', name)

interface Tally {
  passed: number
  failed: number
  skipped: number
}

const tally: Tally = { passed: 0, failed: 0, skipped: 0 }

function check(title: string, command: string, args: readonly string[]): void {
  process.stdout.write(`\n== ${title}\n`)
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' })
  if (status === 0) tally.passed++
  else {
    tally.failed++
    process.stdout.write(`FAILED: ${title}\n`)
  }
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly success: boolean
}

function vitest(files: readonly string[]): void {
  process.stdout.write('\n== tests\n')
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-tests-'))
  const outputFile = join(folder, 'report.json')
  try {
    const args = [
      bin('vitest'),
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${outputFile}`,
      ...files,
    ]
    const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' })
    const report = JSON.parse(readFileSync(outputFile, 'utf8')) as VitestReport
    tally.passed += report.numPassedTests
    tally.failed += report.numFailedTests
    tally.skipped += report.numPendingTests + report.numTodoTests
    // A file that cannot be loaded fails no test, and an unhandled rejection neither; both fail the run.
    if (status !== 0 && report.numFailedTests === 0) tally.failed++
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const files = process.argv.slice(2)
if (files.length === 0) {
  check('lint and format', bin('biome'), ['check', '--error-on-warnings', '.'])
  check('types', bin('tsc'), ['--noEmit'])
  check('schemas', process.execPath, ['schemas/generate.ts', '--check'])
}
vitest(files)
process.stdout.write(`\n${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped\n`)
process.exitCode = tally.failed === 0 && tally.passed > 0 ? 0 : 1
