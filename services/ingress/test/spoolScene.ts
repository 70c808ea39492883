import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger, type Logger } from '@tidemark/telemetry'
import { openSpool, type Spool, type SpoolOptions } from '../src/spool/spool.ts'

/** Folders and spools of one test, cleaned up together, and what was logged. */
export class SpoolScene {
  readonly said: { readonly level: number; readonly msg: string; readonly err?: { readonly code: string } }[] = []
  readonly logger: Logger = createLogger({
    level: 'debug',
    destination: { write: (line: string) => void this.said.push(JSON.parse(line)) },
  })
  readonly folders: string[] = []
  readonly #spools: Spool[] = []

  /** A new folder, or a copy of another: what a crash at this moment would leave. */
  folder(copyOf?: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'spool-'))
    this.folders.push(folder)
    if (copyOf !== undefined)
      cpSync(copyOf, folder, { recursive: true, filter: (path) => !path.endsWith('tidemark.lock') })
    return folder
  }

  async open(directory: string, options: Partial<SpoolOptions> = {}): Promise<Spool> {
    const spool = await openSpool({ directory, logger: this.logger, ...options })
    this.#spools.push(spool)
    return spool
  }

  messages(level: number): string[] {
    return this.said.filter((line) => line.level === level).map(({ msg }) => msg)
  }

  async close(): Promise<void> {
    await Promise.all(this.#spools.splice(0).map((spool) => spool.close()))
    for (const folder of this.folders.splice(0)) rmSync(folder, { recursive: true, force: true })
  }
}

export const segmentsOf = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.spool'))
    .sort()
    .map((name) => join(directory, name))

export const asideOf = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => name.startsWith('aside-'))
    .map((name) => join(directory, name))

export const put = (spool: Spool, text: string): Promise<void> => spool.append(Buffer.from(text), 1000)

/** Drains up to `records` records, or all. */
export async function take(spool: Spool, records = Number.POSITIVE_INFINITY): Promise<string[]> {
  const texts: string[] = []
  for (;;) {
    const batch = texts.length < records ? await spool.read() : undefined
    if (!batch) return texts
    texts.push(...batch.records.map(({ payload }) => payload.toString()))
    await spool.commit(batch)
  }
}

/** What every open file's methods come from, to watch them or let one fail. */
export async function fileMethods(): Promise<Awaited<ReturnType<typeof open>>> {
  const handle = await open('/dev/null', 'r')
  await handle.close()
  return Object.getPrototypeOf(handle) as Awaited<ReturnType<typeof open>>
}
