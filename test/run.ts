/**
 * The whole test suite, as `npm test` and CI run it: formatting and lint, types, schema drift, then every vitest file against one Kafka for
 * all of them, then the projector and the API again over PostgreSQL. The last line is "N passed, N failed, N skipped"; each of the checks
 * beside vitest counts as one. Without a Kafka or a PostgreSQL the tests that need it skip, and with TIDEMARK_REQUIRE_KAFKA=1 and
 * TIDEMARK_REQUIRE_POSTGRES=1, as in CI, they fail. Arguments are test files to run instead of everything.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requiresKafka } from './harness/kafka.ts'
import { postgresUrl } from './harness/postgres.ts'
import { shareKafka } from './harness/sharedKafka.ts'

const ROOT = join(import.meta.dirname, '..')
const bin = (name: string): string => join(ROOT, 'node_modules/.bin', name)

/** What runs over PGlite first, and a second time over PostgreSQL; without what is about PostgreSQL anyway. */
const OVER_POSTGRES = ['services/projector', 'services/api', '--exclude=**/*.postgres.int.test.ts']

type Environment = Readonly<Record<string, string>>

interface Tally {
  passed: number
  failed: number
  skipped: number
}

const tally: Tally = { passed: 0, failed: 0, skipped: 0 }

let running: ChildProcess | undefined
let isInterrupted = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    isInterrupted = true
    running?.kill(signal)
  })
}

/** Runs a command to its end; true when it succeeded. Not spawnSync: the output of a broker in this process must be read meanwhile. */
function run(command: string, args: readonly string[], env: Environment = {}): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } })
    running = child
    child.on('error', (error) => {
      process.stdout.write(`${command} cannot be run: ${error.message}\n`)
      resolve(false)
    })
    child.on('close', (code) => resolve(code === 0))
  })
}

function count(title: string, succeeded: boolean): void {
  if (succeeded) tally.passed++
  else {
    tally.failed++
    process.stdout.write(`FAILED: ${title}\n`)
  }
}

async function check(title: string, command: string, args: readonly string[]): Promise<void> {
  if (isInterrupted) return
  process.stdout.write(`\n== ${title}\n`)
  count(title, await run(command, args))
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
}

async function vitest(title: string, files: readonly string[], env: Environment): Promise<void> {
  if (isInterrupted) return
  process.stdout.write(`\n== ${title}\n`)
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-tests-'))
  const outputFile = join(folder, 'report.json')
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${outputFile}`]
    const succeeded = await run(process.execPath, [bin('vitest'), 'run', ...reporters, ...files], env)
    const report = readReport(outputFile)
    tally.passed += report?.numPassedTests ?? 0
    tally.failed += report?.numFailedTests ?? 0
    tally.skipped += (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0)
    // A file that cannot be loaded fails no test, and an unhandled rejection neither; both fail the run.
    if (!succeeded && !report?.numFailedTests) count(title, false)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Undefined when vitest ended before it wrote one. */
function readReport(file: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VitestReport
  } catch (error) {
    process.stdout.write(`vitest left no report: ${(error as Error).message}\n`)
    return undefined
  }
}

/** Runs the tests while one Kafka is shared by all of them. */
async function withKafka(work: (env: Environment) => Promise<void>): Promise<void> {
  process.stdout.write('\n== Kafka for the tests\n')
  const kafka = await shareKafka()
  process.stdout.write(`${kafka.summary}\n`)
  if (requiresKafka()) count('a Kafka, required by TIDEMARK_REQUIRE_KAFKA=1', kafka.isFound)
  try {
    await work(kafka.env)
  } finally {
    await kafka.stop()
  }
}

async function overPostgres(env: Environment): Promise<void> {
  process.stdout.write('\n== PostgreSQL for the tests\n')
  const url = await postgresUrl().catch((error: Error) => {
    process.stdout.write(`${error.message}\n`)
    return undefined
  })
  if (process.env['TIDEMARK_REQUIRE_POSTGRES'] === '1') {
    count('a PostgreSQL, required by TIDEMARK_REQUIRE_POSTGRES=1', url !== undefined)
  }
  if (url !== undefined) {
    await vitest('tests over PostgreSQL', OVER_POSTGRES, { ...env, TIDEMARK_TEST_STORE: 'postgres' })
  }
}

const files = process.argv.slice(2)
const isWhole = files.length === 0
if (isWhole) {
  await check('lint and format', bin('biome'), ['check', '--error-on-warnings', '.'])
  await check('types', bin('tsc'), ['--noEmit'])
  await check('schemas', process.execPath, ['schemas/generate.ts', '--check'])
}
if (!isInterrupted) {
  await withKafka(async (env) => {
    await vitest('tests', files, env)
    if (isWhole) await overPostgres(env)
  })
}
process.stdout.write(`\n${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped\n`)
process.exitCode = tally.failed === 0 && tally.passed > 0 && !isInterrupted ? 0 : 1
