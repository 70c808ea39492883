import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import { createSandbox } from '@tidemark/sandbox'
import { createEventParser } from '../../packages/cli/src/client.ts'
import { freePort, startTidemark } from '../harness/tidemark.ts'

export interface LatencyOptions {
  readonly perSecond: number
  readonly seconds: number
  readonly candidates: number
}

export interface LatencyFigures {
  readonly sent: number
  readonly received: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

const SETTLE_MS = 3_000
const API_KEY = 'latency-bench-key-0123456789'

/**
 * One candidate is edited at the provider every 1/perSecond s; the provider's webhook follows at once (no debounce). Measured
 * is from the edit (just before the webhook is sent) to the arrival of the change on /v1/changes. tidemark runs in a process of
 * its own; the provider, the edits and the reader share this one.
 */
export async function benchLatency(
  { perSecond, seconds, candidates }: LatencyOptions,
  print: (line: string) => void,
): Promise<LatencyFigures> {
  const data = mkdtempSync(join(tmpdir(), 'tidemark-latency-'))
  const port = await freePort()
  const sandbox = createSandbox({
    integrations: 1,
    sizes: { jobs: 20, candidates, applications: candidates },
    rateLimit: null,
    webhooks: { debounceMs: 0 },
    webhookTarget: `http://127.0.0.1:${port}/webhooks/kombo`,
  })
  const { url } = await sandbox.start()
  const config = join(data, 'config.yaml')
  const source = {
    name: 'kombo',
    connector: 'kombo',
    base_url: url,
    api_key: sandbox.apiKey,
    webhook_secret: sandbox.webhookSecret,
    integrations: sandbox.integrations,
  }
  writeFileSync(config, JSON.stringify({ sources: [source], api_keys: [{ name: 'bench', key: API_KEY, write: true }] }))
  const tidemark = startTidemark({ data: join(data, 'data'), port, config })
  const stopping = new AbortController()
  try {
    await tidemark.ready()
    await inSync(port, candidates)
    const editedAt = new Map<string, number>()
    const latencies: number[] = []
    const reading = readChanges(port, stopping.signal, (title) => {
      const at = editedAt.get(title)
      if (at !== undefined) latencies.push(performance.now() - at)
      editedAt.delete(title)
    })
    await systemClock.sleep(500)
    const [integration] = sandbox.integrations as [string]
    const ids = candidateIds(await firstPage(url, sandbox.apiKey, integration))
    const total = perSecond * seconds
    const started = performance.now()
    for (let n = 0; n < total; n++) {
      const due = started + (n * 1000) / perSecond
      const wait = due - performance.now()
      if (wait > 0) await systemClock.sleep(wait)
      const title = `Edit ${n}`
      editedAt.set(title, performance.now())
      sandbox.world.editCandidate(integration, ids[n % ids.length] as string, { title })
    }
    await systemClock.sleep(SETTLE_MS)
    stopping.abort()
    await reading
    const sorted = [...latencies].sort((a, b) => a - b)
    const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
    if (editedAt.size > 0) {
      const status = await fetch(`http://127.0.0.1:${port}/v1/status`, {
        headers: { authorization: `Bearer ${API_KEY}` },
      })
      print(`${editedAt.size} edits did not arrive as changes of their own`)
      print(`${await status.text()}\n${JSON.stringify(sandbox.stats)}\n${tidemark.stderr()}`)
    }
    return { sent: total, received: latencies.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? Number.NaN }
  } finally {
    stopping.abort()
    await tidemark.stop()
    await sandbox.stop()
    rmSync(data, { recursive: true, force: true })
  }
}

interface StatusBody {
  readonly data: {
    readonly totals: { readonly records: number }
    readonly services: Readonly<Record<string, { readonly lag?: number }>>
    readonly integrations: readonly {
      readonly streams: readonly { readonly state: string; readonly watermark: string | null }[]
    }[]
  }
}

async function inSync(port: number, candidates: number): Promise<void> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/v1/status`, {
      headers: { authorization: `Bearer ${API_KEY}` },
    })
    const { data } = (await response.json()) as StatusBody
    const streams = data.integrations.flatMap((i) => i.streams)
    const lag = Object.values(data.services).reduce((sum, s) => sum + (s.lag ?? 0), 0)
    if (
      streams.length > 0 &&
      streams.every((s) => s.watermark !== null) &&
      lag === 0 &&
      data.totals.records >= candidates
    )
      return
    await systemClock.sleep(200)
  }
}

async function readChanges(port: number, signal: AbortSignal, onTitle: (title: string) => void): Promise<void> {
  const parse = createEventParser()
  try {
    const response = await fetch(`http://127.0.0.1:${port}/v1/changes?model=candidates`, {
      headers: { authorization: `Bearer ${API_KEY}` },
      signal,
    })
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      for (const event of parse(decoder.decode(chunk as Uint8Array, { stream: true }))) {
        if (event.event !== 'change') continue
        const change = JSON.parse(event.data) as { readonly after: { readonly title: string | null } | null }
        if (change.after?.title) onTitle(change.after.title)
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function firstPage(url: string, apiKey: string, integration: string): Promise<unknown> {
  const response = await fetch(`${url}/ats/candidates?page_size=250`, {
    headers: { authorization: `Bearer ${apiKey}`, 'x-integration-id': integration },
  })
  return response.json()
}

function candidateIds(body: unknown): string[] {
  return (body as { data: { results: { id: string }[] } }).data.results.map((r) => r.id)
}
