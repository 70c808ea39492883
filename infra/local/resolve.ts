import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export const KAFKA_VERSION = '4.3.1'
export const APICURIO_VERSION = '3.3.2'

/** Where downloads are kept; not part of the repository. */
const CACHE = join(import.meta.dirname, '../.kafka')
const JVM_FOLDERS = ['/usr/lib/jvm', '/Library/Java/JavaVirtualMachines']
const LOCAL_JAVA_VERSION_MIN = 17

/** Folder with Kafka's jars; resolved from Maven Central on the first call. Throws when `mvn` is missing or fails. */
export function resolveKafka(log: (line: string) => void): Promise<string> {
  return once(`kafka-${KAFKA_VERSION}`, log, async (target) => {
    const pom = join(import.meta.dirname, 'pom.xml')
    const args = ['-B', '-q', '-f', pom, 'dependency:copy-dependencies']
    await run('mvn', [...args, `-Dkafka.version=${KAFKA_VERSION}`, `-DoutputDirectory=${target}`])
  })
}

/** Folder with an unpacked Apicurio Registry; resolved from Maven Central on the first call. */
export function resolveApicurio(log: (line: string) => void): Promise<string> {
  return once(`apicurio-${APICURIO_VERSION}`, log, async (target) => {
    const artifact = `io.apicurio:apicurio-registry-app:${APICURIO_VERSION}:tar.gz:all`
    await run('mvn', ['-B', '-q', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${target}`])
    const archive = readdirSync(target).find((name) => name.endsWith('.tar.gz'))
    if (archive === undefined) throw new Error(`mvn dependency:copy left no archive in ${target}`)
    await run('tar', ['-xzf', join(target, archive), '-C', target])
    rmSync(join(target, archive))
  })
}

/** A java command of at least this version: JAVA_HOME, then PATH, then the machine's JVM folders; undefined when there is none. */
export async function findJava(versionMin = LOCAL_JAVA_VERSION_MIN): Promise<string | undefined> {
  const home = process.env['JAVA_HOME']
  const installed = JVM_FOLDERS.filter((folder) => existsSync(folder)).flatMap((folder) =>
    readdirSync(folder).flatMap((name) => [
      join(folder, name, 'bin/java'),
      join(folder, name, 'Contents/Home/bin/java'),
    ]),
  )
  const candidates = [
    ...(home ? [join(home, 'bin/java')] : []),
    'java',
    ...installed.filter((path) => existsSync(path)),
  ]
  for (const java of candidates) {
    const version = await javaVersion(java)
    if (version !== undefined && version >= versionMin) return java
  }
  return undefined
}

async function javaVersion(java: string): Promise<number | undefined> {
  try {
    const found = /version "(\d+)/.exec(await run(java, ['-version']))
    return found ? Number(found[1]) : undefined
  } catch {
    // Not there, or not runnable: not a candidate.
    return undefined
  }
}

/** Fills a folder beside its final place and renames it, so that a broken download is never taken for a whole one. */
async function once(
  name: string,
  log: (line: string) => void,
  fill: (target: string) => Promise<void>,
): Promise<string> {
  const target = join(CACHE, name)
  if (existsSync(target)) return target
  mkdirSync(CACHE, { recursive: true })
  const filling = mkdtempSync(join(CACHE, `${name}.`))
  log(`resolving ${name} from Maven Central into ${target} (once)`)
  try {
    await fill(filling)
    if (!existsSync(target)) renameSync(filling, target)
  } catch (error) {
    // Somebody else was faster: theirs is as good.
    if (!existsSync(target)) throw error
  } finally {
    rmSync(filling, { recursive: true, force: true })
  }
  return target
}

/** Runs a command to its end and returns what it printed. Throws with its output when it fails. */
export function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk))
    child.on('error', (error) => reject(new Error(`${command} cannot be run: ${error.message}`, { cause: error })))
    child.on('close', (code) => {
      if (code === 0) resolve(output)
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output.slice(-4000)}`))
    })
  })
}
