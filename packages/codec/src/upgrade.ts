import { TidemarkError } from '@tidemark/base'
import avro from 'avsc'
import { Writer } from './binary.ts'
import type { CompiledRecord } from './compile.ts'
import { FRAME_BYTES, frameHeader, frameId } from './frame.ts'

/** Re-encodes values of older schema versions into the newest one, by Avro's resolution rules. */
export interface Upgrader {
  add(id: number, schema: string): void
  newest(subject: string, id: number, compiled: CompiledRecord): void
  /** Throws VALUE_UNDECODABLE for an unknown id or broken bytes. */
  upgrade(subject: string | undefined, value: Buffer): Buffer
}

/** Types and resolvers are built once per schema version: building one costs a hundred decodes. */
export function createUpgrader(): Upgrader {
  const schemas = new Map<number, string>()
  const targets = new Map<string, { readonly id: number; readonly compiled: CompiledRecord }>()
  const decoders = new Map<string, (payload: Buffer) => unknown>()

  const decoder = (from: number, to: number): ((payload: Buffer) => unknown) => {
    const key = `${from}>${to}`
    const known = decoders.get(key)
    if (known) return known
    const writer = avro.Type.forSchema(JSON.parse(schemas.get(from) as string) as avro.Schema)
    const reader = avro.Type.forSchema(JSON.parse(schemas.get(to) as string) as avro.Schema)
    const resolver = reader.createResolver(writer)
    const decode = (payload: Buffer): unknown => reader.fromBuffer(payload, resolver)
    decoders.set(key, decode)
    return decode
  }

  return {
    add: (id, schema) => void schemas.set(id, schema),
    newest: (subject, id, compiled) => void targets.set(subject, { id, compiled }),
    upgrade(subject, value) {
      const id = frameId(value)
      const target = subject === undefined ? undefined : targets.get(subject)
      if (target === undefined) throw new TidemarkError('VALUE_UNDECODABLE', `schema id ${id} is unknown`)
      if (target.id === id) return value
      let decoded: unknown
      try {
        decoded = decoder(id, target.id)(value.subarray(FRAME_BYTES))
      } catch (error) {
        throw new TidemarkError('VALUE_UNDECODABLE', `bytes of schema id ${id}: ${(error as Error).message}`, {
          cause: error,
        })
      }
      const writer = new Writer(value.length + 256)
      writer.raw(frameHeader(target.id), 0, FRAME_BYTES)
      target.compiled.write(writer, decoded)
      return writer.take()
    },
  }
}
