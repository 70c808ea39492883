import { TidemarkError } from '@tidemark/base'
import { type AvroField, type AvroRecord, type AvroType, compareCodePoints, isOptional } from '@tidemark/model'
import type { Reader, Writer } from './binary.ts'

/** Reading, writing and skipping of one schema node, compiled once. Values are canonical (see normalizeRecord). */
export interface Compiled {
  readonly write: (w: Writer, value: unknown) => void
  readonly read: (r: Reader) => unknown
  readonly skip: (r: Reader) => void
}

export interface CompiledField extends Compiled {
  readonly field: AvroField
  readonly name: string
}

export interface CompiledRecord extends Compiled {
  readonly schema: AvroRecord
  readonly fields: readonly CompiledField[]
}

/** Named types seen so far in one schema text. */
type Names = Map<string, Compiled>

/** Compiles a record schema whose named types are defined at their first use. */
export function compileRecord(schema: AvroRecord): CompiledRecord {
  return record(schema, new Map())
}

function compile(type: AvroType | string, names: Names): Compiled {
  if (typeof type === 'string') return primitive(type, names)
  if (isOptional(type)) return optional(compile(type[1], names))
  switch (type.type) {
    case 'record':
      return record(type, names)
    case 'array':
      return array(compile(type.items, names))
    case 'map':
      return map(compile(type.values, names))
    case 'long':
      return LONG
    default:
      throw new RangeError(`unsupported schema: ${JSON.stringify(type)}`)
  }
}

function primitive(name: string, names: Names): Compiled {
  const known = PRIMITIVES[name] ?? names.get(name)
  if (!known) throw new RangeError(`unknown type in schema: ${name}`)
  return known
}

const STRING: Compiled = {
  write: (w, v) => w.string(v as string),
  read: (r) => r.string(),
  skip: (r) => r.skipBytes(),
}

const LONG: Compiled = {
  write: (w, v) => w.long(v as number),
  read: (r) => r.long(),
  skip: (r) => r.skipLong(),
}

const PRIMITIVES: Readonly<Record<string, Compiled>> = {
  string: STRING,
  int: LONG,
  long: LONG,
  double: {
    write: (w, v) => w.double(v as number),
    read: (r) => r.double(),
    skip: (r) => r.skip(8),
  },
  boolean: {
    write: (w, v) => w.byte(v ? 1 : 0),
    read: (r) => r.byte() !== 0,
    skip: (r) => r.skip(1),
  },
  bytes: {
    write: (w, v) => w.bytes(v as Uint8Array),
    read: (r) => r.bytes(),
    skip: (r) => r.skipBytes(),
  },
}

function badBranch(branch: number): TidemarkError {
  return new TidemarkError('VALUE_UNDECODABLE', `the bytes are not what their schema says: union branch ${branch}`)
}

/** `["null", X]`: one byte, 0 for null and 2 for X. */
function optional(inner: Compiled): Compiled {
  return {
    write(w, v) {
      if (v === null || v === undefined) w.byte(0)
      else {
        w.byte(2)
        inner.write(w, v)
      }
    },
    read(r) {
      const branch = r.byte()
      if (branch === 0) return null
      if (branch !== 2) throw badBranch(branch)
      return inner.read(r)
    },
    skip(r) {
      const branch = r.byte()
      if (branch === 2) inner.skip(r)
      else if (branch !== 0) throw badBranch(branch)
    },
  }
}

function array(item: Compiled): Compiled {
  return {
    write(w, v) {
      const items = v as readonly unknown[]
      if (items.length > 0) {
        w.long(items.length)
        for (const value of items) item.write(w, value)
      }
      w.byte(0)
    },
    read(r) {
      const out: unknown[] = []
      for (let n = r.blockCount(); n > 0; n = r.blockCount()) while (n-- > 0) out.push(item.read(r))
      return out
    },
    skip(r) {
      for (let n = r.blockCount(); n > 0; n = r.blockCount()) while (n-- > 0) item.skip(r)
    },
  }
}

function map(value: Compiled): Compiled {
  return {
    write(w, v) {
      const entries = v as Readonly<Record<string, unknown>>
      // Integer-like keys come first in any JS object, so the order is made here, not trusted.
      const keys = Object.keys(entries).sort(compareCodePoints)
      if (keys.length > 0) {
        w.long(keys.length)
        for (const key of keys) {
          w.string(key)
          value.write(w, entries[key])
        }
      }
      w.byte(0)
    },
    read(r) {
      const out = Object.create(null) as Record<string, unknown>
      for (let n = r.blockCount(); n > 0; n = r.blockCount()) {
        while (n-- > 0) {
          const key = r.string()
          out[key] = value.read(r)
        }
      }
      return out
    },
    skip(r) {
      for (let n = r.blockCount(); n > 0; n = r.blockCount()) {
        while (n-- > 0) {
          r.skipBytes()
          value.skip(r)
        }
      }
    },
  }
}

function record(schema: AvroRecord, names: Names): CompiledRecord {
  const fields: CompiledField[] = []
  const compiled: CompiledRecord = {
    schema,
    fields,
    write(w, v) {
      const source = v as Readonly<Record<string, unknown>>
      for (const field of fields) field.write(w, source[field.name])
    },
    read(r) {
      const out: Record<string, unknown> = {}
      for (const field of fields) out[field.name] = field.read(r)
      return out
    },
    skip(r) {
      for (const field of fields) field.skip(r)
    },
  }
  names.set(schema.name, compiled)
  for (const field of schema.fields) fields.push({ ...compile(field.type, names), field, name: field.name })
  return compiled
}
