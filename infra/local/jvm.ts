import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect, createServer } from 'node:net'

const SETPRIV = '/usr/bin/setpriv'
const OUTPUT_CHARACTERS = 20_000

/** A Java process that is meant to run until it is told to stop. */
export interface Jvm {
  readonly pid: number
  readonly alive: boolean
  /** The end of what it printed. */
  output(): string
  /** Resolves when it printed a line that contains the text. Throws with its output when it ends before, or takes too long. */
  printed(text: string, timeoutMs: number): Promise<void>
  signal(name: NodeJS.Signals): void
  /** SIGTERM, and SIGKILL when that took too long. Resolves when the process is gone. */
  stop(graceMs: number): Promise<void>
}

/**
 * Starts a Java process that cannot outlive this one: on Linux the kernel kills it when its parent dies, however that dies; elsewhere it
 * is killed when this process exits.
 */
export function startJvm(java: string, args: readonly string[], cwd: string): Jvm {
  const [command, first] = existsSync(SETPRIV) ? [SETPRIV, ['--pdeathsig', 'KILL', java]] : [java, []]
  const child = spawn(command, [...first, ...args], { stdio: ['ignore', 'pipe', 'pipe'], cwd })
  let output = ''
  const waiting = new Set<() => void>()
  const add = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_CHARACTERS)
    for (const check of waiting) check()
  }
  child.stdout.on('data', add)
  child.stderr.on('data', add)
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => resolve())
    child.on('error', (error) => {
      output += `\n${error.message}`
      resolve()
    })
  })
  const killAtExit = (): void => void child.kill('SIGKILL')
  process.on('exit', killAtExit)
  void ended.then(() => {
    process.off('exit', killAtExit)
    for (const check of waiting) check()
  })
  return {
    pid: child.pid ?? -1,
    get alive() {
      return isAlive(child)
    },
    output: () => output,
    printed: (text, timeoutMs) =>
      new Promise<void>((resolve, reject) => {
        const done = (finish: () => void): void => {
          clearTimeout(timer)
          waiting.delete(check)
          finish()
        }
        const fail = (why: string): void => done(() => reject(new Error(`${why}\n${output}`)))
        const check = (): void => {
          if (output.includes(text)) done(resolve)
          else if (!isAlive(child)) fail(`The Java process ended before it printed "${text}":`)
        }
        const timer = setTimeout(() => fail(`The Java process did not print "${text}" in time:`), timeoutMs)
        waiting.add(check)
        check()
      }),
    signal: (name) => void child.kill(name),
    async stop(graceMs) {
      if (graceMs > 0) child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
      // A stopped process does not see SIGTERM, only SIGKILL.
      await ended
      clearTimeout(timer)
    },
  }
}

function isAlive(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer()
          server.on('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Resolves true when something accepts connections there. */
export function answers(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs })
    const end = (result: boolean): void => {
      socket.destroy()
      resolve(result)
    }
    socket.on('connect', () => end(true))
    socket.on('timeout', () => end(false))
    socket.on('error', () => end(false))
  })
}
