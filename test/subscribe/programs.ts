import { type ChildProcess, spawn } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')
export const DOCS = join(ROOT, 'docs/subscribe')

export type Settings = Readonly<Record<string, string>>

/** A program of the documentation, as a reader would run it. */
export interface Program {
  readonly child: ChildProcess
  stdout(): string
  stderr(): string
  /** Whole lines of stdout so far, as JSON. */
  lines(): Record<string, unknown>[]
  /** Resolves with the first `count` lines; rejects when the program ends before. */
  printed(count: number): Promise<Record<string, unknown>[]>
  /** Resolves with the exit code, or the signal. */
  readonly ended: Promise<number | NodeJS.Signals | null>
  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>
}

export function run(command: string, args: readonly string[], settings: Settings, cwd = ROOT): Program {
  // Whatever `node` is on PATH, commands of the page get this one.
  const PATH = [dirname(process.execPath), process.env['PATH']].join(delimiter)
  const env = { ...process.env, PATH, ...settings }
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const text = { stdout: '', stderr: '' }
  const waiting = new Set<() => void>()
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk
      for (const check of waiting) check()
    })
  }
  let over = false
  const ended = new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      over = true
      for (const check of waiting) check()
      resolve(signal ?? code)
    })
  })
  const lines = (): Record<string, unknown>[] =>
    text.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return {
    child,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    lines,
    printed: (count) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (text.stdout.split('\n').length > count) resolve(lines())
          else if (over)
            reject(new Error(`${command} ${args.join(' ')} ended too early:\n${text.stdout}\n${text.stderr}`))
        }
        waiting.add(check)
        check()
      }),
    ended,
    kill(signal) {
      child.kill(signal)
      return ended
    },
  }
}

export const runNode = (program: string, args: readonly string[], settings: Settings): Program =>
  run(process.execPath, [join(DOCS, program), ...args], settings)
