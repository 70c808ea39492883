import { createInterface } from 'node:readline/promises'
import { addAbortSignal, type Readable, Writable } from 'node:stream'
import { TidemarkError } from '@tidemark/base'

/** Where a value is read from; process.stdin. */
export type SecretInput = Readable & { readonly isTTY?: boolean }

/** Keys and certificates fit in; a file that was piped in by mistake does not. */
const VALUE_BYTES_MAX = 65_536

interface ReadOptions {
  /** Told what to type, where somebody types. */
  readonly prompt: (text: string) => void
  readonly signal: AbortSignal
}

/**
 * A value from standard input: one line without echo from a terminal, all of it otherwise, without the line break at its end. Throws CONFIG_INVALID
 * for nothing, for more than 64 KiB, for what is no UTF-8, and when it was ended by Ctrl-C or Ctrl-D instead.
 */
export async function readSecret(input: SecretInput, { prompt, signal }: ReadOptions): Promise<string> {
  const text = input.isTTY ? await typed(input, prompt, signal) : (await piped(input, signal)).replace(/\r?\n$/, '')
  if (text === '') throw invalid('there is no value; type it, or pipe it in: printf %s "$VALUE" | tidemark secret seal')
  return text
}

async function typed(input: SecretInput, prompt: (text: string) => void, signal: AbortSignal): Promise<string> {
  // What is typed is echoed into nowhere; line editing works all the same.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input, output: nowhere, terminal: true, historySize: 0 })
  const ended = Promise.withResolvers<never>()
  ended.promise.catch(() => undefined)
  const stop = (): void => ended.reject(invalid('no value was given'))
  terminal.once('SIGINT', stop)
  terminal.once('close', stop)
  prompt('value (it is not shown): ')
  try {
    return await Promise.race([terminal.question('', { signal }), ended.promise])
  } finally {
    terminal.close()
    prompt('\n')
  }
}

async function piped(input: SecretInput, signal: AbortSignal): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  try {
    for await (const part of addAbortSignal(signal, input)) {
      bytes += (part as Buffer).length
      if (bytes > VALUE_BYTES_MAX) break
      parts.push(part as Buffer)
    }
  } catch (error) {
    if (signal.aborted) throw invalid('no value was given')
    throw error
  }
  if (bytes > VALUE_BYTES_MAX) throw invalid(`the value is larger than ${VALUE_BYTES_MAX} bytes`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
  } catch {
    throw invalid('the value is no text in UTF-8')
  }
}

const invalid = (message: string): TidemarkError => new TidemarkError('CONFIG_INVALID', `standard input: ${message}`)
