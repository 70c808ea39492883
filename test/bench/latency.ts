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

/** A tidemark in a process of its own, in sync with a provider in this one, and a reader of its feed. */
export interface LatencyStage {
  readonly port: number
  /** Edits one candidate every 1/perSecond s while `goesOn`, and measures each from the edit to its change on the feed. */
  measure(perSecond: number, goesOn: (elapsedMs: number) => boolean): Promise<LatencyFigures>
  close(): Promise<void>
}

/** Opens the stage; what does not arrive is told through `print`. */
export async function openLatencyStage(candidates: number, print: (line: string) => void): Promise<LatencyStage> {
  const data = mkdtempSync(join(tmpdir(), 'tidemark-latency-'))
  const port = await freePort()
  const sandbox = createSandbox({
    integrations: 1,
    sizes: { jobs: 20, candidates, applications: 2_000 },
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
  const keys = { api_keys: [{ name: 'bench', key: API_KEY, write: true }], api: { rate_limit: false } }
  writeFileSync(config, JSON.stringify({ sources: [source], ...keys }))
  const tidemark = startTidemark({ data: join(data, 'data'), port, config })
  const stopping = new AbortController()
  let reading: Promise<void> = Promise.resolve()
  const close = async (): Promise<void> => {
    stopping.abort()
    await reading
    await tidemark.stop()
    await sandbox.stop()
    rmSync(data, { recursive: true, force: true })
  }
  try {
    await tidemark.ready()
    await inSync(port, candidates)
    const editedAt = new Map<string, number>()
    let latencies: number[] = []
    reading = readChanges(port, stopping.signal, (title) => {
      const at = editedAt.get(title)
      if (at !== undefined) latencies.push(performance.now() - at)
      editedAt.delete(title)
    })
    await systemClock.sleep(500)
    const [integration] = sandbox.integrations as [string]
    const ids = candidateIds(await firstPage(url, sandbox.apiKey, integration))
    let edits = 0
    return {
      port,
      close,
      async measure(perSecond, goesOn) {
        latencies = []
        const first = edits
        const started = performance.now()
        while (goesOn(performance.now() - started)) {
          const due = started + ((edits - first) * 1000) / perSecond
          const wait = due - performance.now()
          if (wait > 0) await systemClock.sleep(wait)
          const title = `Edit ${edits++}`
          editedAt.set(title, performance.now())
          sandbox.world.editCandidate(integration, ids[edits % ids.length] as string, { title })
        }
        for (let i = 0; i < SETTLE_MS / 100 && editedAt.size > 0; i++) await systemClock.sleep(100)
        if (editedAt.size > 0)
          print(`${editedAt.size} edits did not arrive as changes of their own\n${tidemark.stderr()}`)
        editedAt.clear()
        return figures(edits - first, latencies)
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

function figures(sent: number, latencies: readonly number[]): LatencyFigures {
  const sorted = [...latencies].sort((a, b) => a - b)
  const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
  return { sent, received: latencies.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? Number.NaN }
}

/**
 * One candidate is edited at the provider every 1/perSecond s; the provider's webhook follows at once (no debounce). Measured
 * is from the edit (just before the webhook is sent) to the arrival of the change on /v1/changes. tidemark runs in a process of
 * its own; the provider, the edits and the reader share this one.
 */
export async function benchLatency(
  { perSecond, seconds, candidates }: LatencyOptions,
  print: (line: string) => void,
): Promise<LatencyFigures> {
  const stage = await openLatencyStage(candidates, print)
  try {
    return await stage.measure(perSecond, (elapsedMs) => elapsedMs < seconds * 1000)
  } finally {
    await stage.close()
  }
}

export interface OvertakeFigures {
  readonly idle: LatencyFigures
  readonly during: LatencyFigures
  /** How long the full run took, edits and all. */
  readonly fullRunMs: number
}

/** The same edits while nothing else goes on, then while a complete run of all candidates does: live is to overtake backfill. */
export async function benchOvertake(
  { perSecond, seconds, candidates }: LatencyOptions,
  print: (line: string) => void,
): Promise<OvertakeFigures> {
  const stage = await openLatencyStage(candidates, print)
  try {
    const idle = await stage.measure(perSecond, (elapsedMs) => elapsedMs < seconds * 1000)
    const started = performance.now()
    let isRunning = true
    const run = fullRun(stage.port).finally(() => {
      isRunning = false
    })
    const during = await stage.measure(perSecond, () => isRunning)
    await run
    return { idle, during, fullRunMs: performance.now() - started }
  } finally {
    await stage.close()
  }
}

/** Asks every integration for a complete run and waits for its end. */
async function fullRun(port: number): Promise<void> {
  const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' }
  const origin = `http://127.0.0.1:${port}`
  const status = (await (await fetch(`${origin}/v1/status`, { headers })).json()) as StatusBody
  for (const { integration_id: id } of status.data.integrations) {
    const asked = await fetch(`${origin}/v1/force-sync`, {
      ...{ method: 'POST', body: '{"type":"FULL"}', headers: { ...headers, 'x-integration-id': id } },
    })
    const { data } = (await asked.json()) as { readonly data: { readonly sync_id: string } }
    for (;;) {
      await systemClock.sleep(250)
      const answer = await fetch(`${origin}/v1/syncs/${data.sync_id}`, { headers })
      if (answer.status !== 200) continue
      const { results } = ((await answer.json()) as SyncBody).data
      if (results.every(({ finished_at: at }) => at !== null)) break
    }
  }
}

interface SyncBody {
  readonly data: { readonly results: readonly { readonly finished_at: string | null }[] }
}

interface StatusBody {
  readonly data: {
    readonly totals: { readonly records: number }
    readonly services: Readonly<Record<string, { readonly lag?: number }>>
    readonly integrations: readonly {
      readonly integration_id: string
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
