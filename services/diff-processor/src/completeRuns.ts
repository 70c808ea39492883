import type { OpenCodec } from '@tidemark/codec'
import type { LastSeen } from '@tidemark/diff'
import { COMPLETE_RUNS_TOPIC, type CompleteRun, type ModelName, recordKey } from '@tidemark/model'
import type { Overlay } from './overlay.ts'
import type { Barrier } from './slice.ts'
import type { SliceCollector } from './sliceOutput.ts'

/**
 * When a record was seen last. One that is equal to what is known costs no write, so its state does not say so; but a complete run has seen
 * everything that it did not end. Its beginning is kept for each integration and model, in the state and, for restoring that, in a compacted topic. Of
 * children it is not: their parents are listed, and not every page shows the children.
 */

const SLASH = 0x2f

/** Key of the run over a record's model, `<integration>/<model>`: no record key, nor the beginning of a list of them. */
function keyOf(recordKeyText: string): Buffer | undefined {
  const end = recordKeyText.indexOf('/', recordKeyText.indexOf('/') + 1)
  return end < 0 ? undefined : Buffer.from(recordKeyText.slice(0, end))
}

/** Takes note, at its barrier, of a run that has seen, or ended, every record of its model in this partition. */
export function noteCompleteRun(out: SliceCollector, codec: OpenCodec, { control, record }: Barrier): void {
  const { integration_id, model, sync_id, fetch_started_at: started_at, spared: unread } = control
  const begin_offset = control.begin_offset ?? 0
  const key = keyOf(recordKey(integration_id, model as ModelName, '')) as Buffer
  const value = codec.encode('CompleteRun', { integration_id, model, sync_id, started_at, begin_offset, unread })
  out.overlay.set(key, value)
  out.emit(COMPLETE_RUNS_TOPIC, key, value, record.timestampMs)
}

/** What is known of complete runs while a slice is worked on. */
export interface CompleteRuns {
  /**
   * Reads the run over the model of a record. To be called for every record before its snapshot is read: the state's bytes are valid only until the
   * next call on it, so that {@link lastSeen} must not read.
   */
  prepare(key: Buffer): void
  /** Of the run over the model of the record that was prepared last. */
  readonly lastSeen: LastSeen
}

export function completeRuns(codec: OpenCodec, overlay: Overlay): CompleteRuns {
  const runs = new Map<string, CompleteRun | undefined>()
  // Neighbouring records are of the same model: to compare its bytes in place costs next to nothing.
  let prefix: Buffer | undefined
  let run: CompleteRun | undefined
  const read = (key: Buffer): CompleteRun | undefined => {
    const value = overlay.get(key)
    return value && codec.decode('CompleteRun', value)
  }
  return {
    prepare(key) {
      if (prefix && key[prefix.length] === SLASH && key.compare(prefix, 0, prefix.length, 0, prefix.length) === 0)
        return
      prefix = keyOf(key.toString())
      const name = prefix?.toString('latin1') ?? ''
      if (prefix && !runs.has(name)) runs.set(name, read(prefix))
      run = runs.get(name)
    },
    lastSeen(key, sourceOffset) {
      // What was observed since it began was there because of that, listed or not.
      if (!run || sourceOffset >= run.begin_offset) return Number.NaN
      if (run.unread.length === 0) return run.started_at
      const text = key.toString()
      const isUnread = run.unread.some((unread) => text === unread || text.startsWith(`${unread}:`))
      return isUnread ? Number.NaN : run.started_at
    },
  }
}
