import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import { DurableFS, durableParameters, syncTree } from './durable-fs.ts'

/**
 * Creates a database directory in a worker thread: initdb takes seconds and some 150 MB that would never be given back, and both are gone
 * with the thread. Resolves when everything is on disk.
 */
export async function createDatabase(path: string): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { createDatabase: path }, execArgv: [] })
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve())
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new Error(`the thread that creates the database ended with ${code}`)))
  })
  await worker.terminate()
}

async function create(path: string): Promise<void> {
  const startParams = durableParameters(PGlite.defaultStartParams)
  const db = await PGlite.create({ fs: new DurableFS(path), startParams, relaxedDurability: false })
  await db.exec('CHECKPOINT')
  await db.close()
  syncTree(path)
  parentPort?.postMessage('created')
}

const order = workerData as { readonly createDatabase?: string } | null
if (!isMainThread && order?.createDatabase !== undefined) await create(order.createDatabase)
