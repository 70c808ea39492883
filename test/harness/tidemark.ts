import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'

const MAIN = join(import.meta.dirname, '../../packages/cli/src/main.ts')

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** `tidemark up` as a process of its own. */
export interface TidemarkProcess {
  readonly child: ChildProcess
  /** Everything it printed on stderr. */
  stderr(): string
  /** Resolves when /readyz answers 200; rejects when the process ends first. */
  ready(): Promise<void>
  /** SIGKILL, and wait for the end. */
  kill(): Promise<void>
  /** SIGTERM, and wait; resolves with the exit code. */
  stop(): Promise<number | null>
}

export interface UpOptions {
  readonly data: string
  readonly port: number
  readonly config?: string
  /** Only this service, in mode kafka. */
  readonly service?: string
}

export function startTidemark({ data, port, config, service }: UpOptions): TidemarkProcess {
  const args = [
    MAIN,
    'up',
    '--data',
    data,
    '--port',
    String(port),
    '--no-feed',
    ...(config === undefined ? [] : ['--config', config]),
    ...(service === undefined ? [] : ['--service', service]),
  ]
  const child = spawn(process.execPath, [...(process.env['TIDEMARK_NODE_ARGS']?.split(' ') ?? []), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let text = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-100_000)
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const end = (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal)
    return ended
  }
  return {
    child,
    stderr: () => text,
    async ready() {
      let over = false
      void ended.then(() => {
        over = true
      })
      for (;;) {
        if (over) throw new Error(`tidemark ended before it was ready:\n${text}`)
        const ok = await fetch(`http://127.0.0.1:${port}/readyz`).then(
          (r) => r.ok,
          () => false,
        )
        if (ok) return
        await new Promise((resolve) => setTimeout(resolve, 25))
      }
    },
    async kill() {
      await end('SIGKILL')
    },
    stop: () => end('SIGTERM'),
  }
}

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs one tidemark command to its end. */
export function runTidemark(args: readonly string[]): Promise<CliResult> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    })
    const out = { stdout: '', stderr: '' }
    child.stdout.on('data', (chunk: Buffer) => {
      out.stdout += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      out.stderr += chunk.toString()
    })
    child.once('close', (code) => resolve({ code, ...out }))
  })
}
