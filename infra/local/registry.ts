import { mkdirSync } from 'node:fs'
import { freePorts, type Jvm, startJvm } from './jvm.ts'
import { findJava, resolveApicurio } from './resolve.ts'

const JAVA_VERSION_MIN = 21
const READY_MS = 90_000

export interface LocalRegistry {
  /** Base URL of the Confluent-compatible API. */
  readonly url: string
  readonly jvm: Jvm
}

/** Apicurio Registry in memory on a loopback port. Throws when there is no Java of version 21 or newer. */
export async function startApicurio(folder: string, port: number, log: (line: string) => void): Promise<LocalRegistry> {
  const java = await findJava(JAVA_VERSION_MIN)
  if (java === undefined) {
    throw new Error(
      `Apicurio Registry needs Java ${JAVA_VERSION_MIN} or newer; none is in JAVA_HOME, on PATH or under /usr/lib/jvm`,
    )
  }
  const home = await resolveApicurio(log)
  mkdirSync(folder, { recursive: true })
  const [free, management] = (await freePorts(2)) as [number, number]
  const chosen = port === 0 ? free : port
  // Health and metrics have a port of their own, 9000 unless told otherwise: a second registry on the machine would not start.
  const addresses = {
    'quarkus.http.host': '127.0.0.1',
    'quarkus.http.port': String(chosen),
    'quarkus.management.host': '127.0.0.1',
    'quarkus.management.port': String(management),
  }
  const properties = Object.entries(addresses).map(([name, value]) => `-D${name}=${value}`)
  const jvm = startJvm(java, ['-Xmx512m', ...properties, '-jar', `${home}/quarkus-run.jar`], folder)
  try {
    await jvm.printed('Listening on', READY_MS)
  } catch (error) {
    await jvm.stop(0)
    throw error
  }
  return { url: `http://127.0.0.1:${chosen}/apis/ccompat/v7`, jvm }
}
