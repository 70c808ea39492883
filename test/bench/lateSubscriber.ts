import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { openEmbedded } from '@tidemark/log-embedded'
import { topicPlans } from '@tidemark/model'
import { appendChanges, CHANGE_PARTITIONS } from './changes.ts'
import { mib, rate } from './memory.ts'
import { ApiServer, type ServerMemory } from './server.ts'

export interface LateFigures extends ServerMemory {
  readonly seconds: number
}

/**
 * A subscriber that comes late and reads /v1/changes from the beginning, `records` changes with before and after, as Server-Sent Events; the server
 * in a process of its own over the embedded log. `clients` read at the same time.
 */
export async function benchLateSubscriber(
  { records, rounds, clients }: { readonly records: number; readonly rounds: number; readonly clients: number },
  print: (line: string) => void,
): Promise<LateFigures[]> {
  const path = mkdtempSync(join(tmpdir(), 'tidemark-bench-late-'))
  try {
    const embedded = await openEmbedded({ path, clock: systemClock })
    await embedded.log.ensureTopics(topicPlans({ partitions: CHANGE_PARTITIONS }))
    const bytes = await appendChanges(embedded.log, await openCodec(embedded.registry), records)
    await embedded.close()
    print(`${Math.round(bytes / records)} bytes per encoded change`)
    const all: LateFigures[] = []
    for (let round = 1; round <= rounds; round++) {
      const figures = await once(path, records, clients)
      all.push(figures)
      const { seconds, idle, peak } = figures
      print(
        `round ${round}   ${seconds.toFixed(1)} s   ${rate((records * clients) / seconds)}   private memory ${mib(idle)} before, peak ${mib(peak)}`,
      )
    }
    return all
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}

async function once(path: string, records: number, clients: number): Promise<LateFigures> {
  const server = await ApiServer.start(path)
  try {
    const startedAt = performance.now()
    await Promise.all(Array.from({ length: clients }, () => readAll(`${server.url}/v1/changes?from=earliest`, records)))
    const seconds = (performance.now() - startedAt) / 1000
    return { seconds, ...(await server.stop()) }
  } finally {
    server.kill()
  }
}

/** Reads until so many changes have come. Only counts: a subscriber's own work is not measured. */
async function readAll(url: string, records: number): Promise<void> {
  const stopping = new AbortController()
  const response = await fetch(url, { signal: stopping.signal })
  const mark = Buffer.from('event: change\n')
  let rest = Buffer.alloc(0)
  let seen = 0
  for await (const chunk of response.body ?? []) {
    const bytes = Buffer.concat([rest, chunk as Uint8Array])
    let from = 0
    for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length)) {
      seen++
      from = at + mark.length
    }
    if (seen >= records) break
    rest = Buffer.from(bytes.subarray(Math.max(from, bytes.length - mark.length)))
  }
  stopping.abort()
  if (seen < records) throw new Error(`the feed ended after ${seen} of ${records} changes`)
}
