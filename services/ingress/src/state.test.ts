import { SYNCS_TOPIC, type SyncEvent, syncEvent, topicPlans } from '@tidemark/model'
import { silentLogger } from '@tidemark/telemetry'
import { beforeEach, describe, expect, it } from 'vitest'
import { codec, PARTITIONS } from '../test/harness.ts'
import { MemoryLog, MemoryStateStore } from '../test/memoryLog.ts'
import { IngressState } from './state.ts'
import { SyncLog } from './syncLog.ts'
import { createIntegrationView } from './view.ts'

let topics: MemoryLog
let store: MemoryStateStore
let state: IngressState
let syncLog: SyncLog

beforeEach(() => {
  topics = new MemoryLog(topicPlans({ partitions: PARTITIONS }))
  store = new MemoryStateStore()
  state = new IngressState(store, PARTITIONS)
  syncLog = new SyncLog({ log: topics.connect().log, codec, state, partitions: PARTITIONS })
})

const event = (name: string, more: Partial<SyncEvent> = {}): SyncEvent =>
  syncEvent({ source: 's', integration_id: 'a:1', event: name, at: 5, ...more })
const finished = (watermark: number | null, more: Partial<SyncEvent> = {}): SyncEvent =>
  event('stream_finished', { stream: 'tags', state: 'SUCCEEDED', watermark, ...more })
const written = (): SyncEvent[] =>
  topics.read(SYNCS_TOPIC).map(({ record }) => codec.decode('SyncEvent', record.value as Buffer))

describe('watermarks', () => {
  it('are moved by a stream that succeeded, and by nothing else', async () => {
    await syncLog.append(finished(100))
    await syncLog.append(finished(null, { state: 'FAILED' }))
    await syncLog.append(event('finished', { state: 'SUCCEEDED' }))
    expect(state.watermark('a:1', 'tags')).toBe(100)
    expect(state.watermark('a:1', 'roles')).toBeUndefined()
    expect(state.watermark('a:2', 'tags')).toBeUndefined()
  })

  it('are dropped by a stream that is not offered any more', async () => {
    await syncLog.append(finished(100))
    await syncLog.append(finished(null))
    expect(state.watermark('a:1', 'tags')).toBeUndefined()
  })

  it('are dropped with their integration, also within one batch, and others with a longer id stay', async () => {
    await Promise.all([
      syncLog.append(finished(100)),
      syncLog.append(finished(7, { integration_id: 'a:10' })),
      syncLog.append(event('integration_deleted')),
    ])
    expect(state.watermark('a:1', 'tags')).toBeUndefined()
    expect(state.watermark('a:10', 'tags')).toBe(7)
    expect(state.integration('a:1')).toEqual({ source: 's', deleted: true })
  })
})

describe('a view of a process that has no sources', () => {
  it('shows the integrations that were asked for, with their watermarks, until they are deleted', async () => {
    const view = createIntegrationView({
      ...{ log: topics.connect().log, state: new MemoryStateStore(), codec, logger: silentLogger },
      ...{ sources: [], partitions: PARTITIONS },
    })
    await syncLog.append(event('started', { sync_id: 'r1', kind: 'full', streams: ['tags', 'roles'] }))
    await syncLog.append(finished(100))
    await syncLog.append(event('started', { sync_id: 'r2', kind: 'full', streams: ['tags'], integration_id: 'b:2' }))
    await view.refresh()
    const shown = () => view.list().map((one) => [one.integrationId, one.source, one.streams.map((s) => s.watermarkMs)])
    expect(shown()).toEqual([
      ['a:1', 's', [null, 100]],
      ['b:2', 's', [null]],
    ])
    await syncLog.append(event('integration_deleted'))
    await view.refresh()
    expect(shown()).toEqual([['b:2', 's', [null]]])
  })
})

describe('runs', () => {
  it('are open from their start to their end', async () => {
    await syncLog.append(event('started', { sync_id: 'r1', kind: 'full', streams: ['tags'] }))
    await syncLog.append(event('started', { sync_id: 'r2', kind: 'delta', streams: ['tags'] }))
    await syncLog.append(event('finished', { sync_id: 'r1', state: 'SUCCEEDED' }))
    expect(state.openRuns()).toEqual([{ id: 'r2', integrationId: 'a:1', source: 's', kind: 'delta' }])
  })
})

describe('restoring', () => {
  it('gives the same state from the topic as was folded while writing, and nothing twice', async () => {
    await syncLog.append(event('integration_created'))
    await syncLog.append(finished(100))
    await syncLog.append(finished(200, { integration_id: 'b:2' }))
    const fresh = new MemoryStateStore()
    const restored = new IngressState(fresh, PARTITIONS)
    for (let i = 0; i < 2; i++) await restored.restore(topics.connect().log, codec, silentLogger)
    expect(restored.watermark('a:1', 'tags')).toBe(100)
    expect(restored.watermark('b:2', 'tags')).toBe(200)
    expect(restored.integrations()).toEqual(new Map([['a:1', { source: 's', deleted: false }]]))
    expect(restored.hasLifecycleEvent(event('integration_created'))).toBe(true)
    expect(restored.hasLifecycleEvent(event('integration_created', { at: 6 }))).toBe(false)
    expect(fresh.position).toBe(store.position)
  })
})

describe('writing', () => {
  it('keeps the order, also of events that are given while others are written or have just been', async () => {
    const names: string[] = []
    const write = (name: string): Promise<void> => {
      names.push(name)
      return syncLog.append(event('provider_event', { message: name }))
    }
    await Promise.all([write('a'), write('b').then(() => write('d')), write('c').then(() => write('e'))])
    void write('f')
    await syncLog.idle()
    await write('g')
    expect(written().map(({ message }) => message)).toEqual(names)
  })

  it('rejects what could not be written, and goes on with what comes later', async () => {
    topics.beforeAppend = () => {
      throw new Error('no space')
    }
    await expect(syncLog.append(finished(1))).rejects.toThrow('no space')
    expect(state.watermark('a:1', 'tags')).toBeUndefined()
    topics.beforeAppend = () => undefined
    await syncLog.append(finished(2))
    expect(state.watermark('a:1', 'tags')).toBe(2)
  })
})
