import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Private memory of a server before anybody read, and its peak, in bytes. */
export interface ServerMemory {
  readonly idle: number
  readonly peak: number
}

/** The API in a process of its own. */
export class ApiServer {
  readonly url: string
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  private constructor(url: string, child: ChildProcess, lines: AsyncIterator<string>) {
    this.url = url
    this.#child = child
    this.#lines = lines
  }

  /** Over the embedded log in a folder, and a database. */
  static async start(path: string, databaseUrl?: string): Promise<ApiServer> {
    const args = [join(import.meta.dirname, 'apiServer.ts'), path, ...(databaseUrl === undefined ? [] : [databaseUrl])]
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const { url } = JSON.parse((await lines.next()).value as string) as { readonly url: string }
    return new ApiServer(url, child, lines)
  }

  /** Ends it. */
  async stop(): Promise<ServerMemory> {
    this.#child.stdin?.write('\n')
    return JSON.parse((await this.#lines.next()).value as string) as ServerMemory
  }

  kill(): void {
    this.#child.kill()
  }
}
