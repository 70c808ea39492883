import { createHash } from 'node:crypto'
import { TidemarkError } from '@tidemark/base'
import { checkCompatibility } from '@tidemark/codec'
import type { CompatibilityMode, SchemaRegistry } from '@tidemark/registry'
import { type Committer, closedError } from './committer.ts'
import { type Environment, translate } from './environment.ts'
import { decodeNumber, encodeNumber, nameKey } from './rows.ts'

const NEXT_SCHEMA_ID = nameKey('schema-id')
const DEFAULT_MODE: CompatibilityMode = 'FULL_TRANSITIVE'
const MODES: ReadonlySet<string> = new Set(['NONE', 'BACKWARD', 'FULL', 'FULL_TRANSITIVE'])

interface Version {
  readonly version: number
  readonly id: number
  readonly schema: string
}

function idKey(id: number): Buffer {
  const key = Buffer.allocUnsafe(4)
  key.writeUInt32BE(id)
  return key
}

/** Key of a subject's version; NUL keeps subjects apart of which one is the beginning of another. */
function versionKey(subject: string, version: number): Buffer {
  return Buffer.concat([nameKey(subject, ''), idKey(version)])
}

/** A Confluent-compatible registry beside the log. Schemas that differ only in white space are one. */
export class EmbeddedRegistry implements SchemaRegistry {
  readonly #environment: Environment
  readonly #committer: Committer
  /** Registrations follow each other, so that each is checked against the versions it will follow. */
  #last: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(environment: Environment, committer: Committer) {
    this.#environment = environment
    this.#committer = committer
  }

  register(subject: string, schema: string): Promise<number> {
    return this.#guard(() => {
      checkSubject(subject)
      const registered = this.#last.then(() => this.#register(subject, schema))
      this.#last = registered.catch(() => undefined)
      return registered
    })
  }

  async #register(subject: string, schema: string): Promise<number> {
    const digest = digestOf(subject, schema)
    const versions = this.#versions(subject)
    const known = this.#idOf(digest)
    if (known !== undefined && versions.some(({ id }) => id === known)) return known
    this.#checkFollows(subject, schema, versions)
    const { counters, schemas, schemaIds, subjects } = this.#environment
    return this.#committer.run({
      bytes: schema.length + 256,
      write: () => {
        let id = this.#idOf(digest)
        if (id === undefined) {
          id = decodeNumber(counters.getBinary(NEXT_SCHEMA_ID), 1)
          counters.put(NEXT_SCHEMA_ID, encodeNumber(id + 1))
          schemas.put(idKey(id), Buffer.from(schema))
          schemaIds.put(digest, idKey(id))
        }
        subjects.put(versionKey(subject, versions.length + 1), idKey(id))
        return id
      },
    })
  }

  #checkFollows(subject: string, schema: string, versions: readonly Version[]): void {
    const mode = this.#mode(subject)
    const verdict = checkCompatibility(
      mode,
      schema,
      versions.map((version) => version.schema),
    )
    if (verdict.compatible) return
    throw new TidemarkError(
      'SCHEMA_INCOMPATIBLE',
      `The schema cannot be registered under ${subject} (mode ${mode}): ${verdict.problems.join('; ')}.`,
      { fields: { subject, mode } },
    )
  }

  schemaById(id: number): Promise<string> {
    return this.#guard(() => {
      const text = Number.isInteger(id) && id > 0 && id < 2 ** 32 ? this.#text(id) : undefined
      if (text !== undefined) return text
      throw new TidemarkError(
        'SCHEMA_UNKNOWN',
        `The schema registry in ${this.#environment.path} has no schema ${id}.`,
        {
          fields: { id },
        },
      )
    })
  }

  versions(subject: string): Promise<Version[]> {
    return this.#guard(() => this.#versions(subject))
  }

  subjects(): Promise<string[]> {
    return this.#guard(() => {
      const names = new Set<string>()
      for (const key of this.#environment.subjects.getKeys({})) names.add(Buffer.from(key).subarray(0, -5).toString())
      return [...names].sort()
    })
  }

  setCompatibility(subject: string, mode: CompatibilityMode): Promise<void> {
    return this.#guard(() => {
      checkSubject(subject)
      if (!MODES.has(mode)) {
        throw new TidemarkError(
          'CONFIG_INVALID',
          `${mode} is not a compatibility mode; take one of ${[...MODES].join(', ')}.`,
        )
      }
      return this.#committer.run<void>({
        bytes: 64,
        write: () => {
          this.#environment.modes.put(nameKey(subject), Buffer.from(mode))
        },
      })
    })
  }

  /** The environment stays open: it belongs to the log. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#last
  }

  #versions(subject: string): Version[] {
    const range = { start: versionKey(subject, 0), end: versionKey(subject, 2 ** 32 - 1) }
    const ids: number[] = []
    for (const { value } of this.#environment.subjects.getRange(range)) ids.push(value.readUInt32BE(0))
    return ids.map((id, i) => ({ version: i + 1, id, schema: this.#text(id)! }))
  }

  #text(id: number): string | undefined {
    return this.#environment.schemas.getBinary(idKey(id))?.toString()
  }

  #idOf(digest: Buffer): number | undefined {
    return this.#environment.schemaIds.getBinary(digest)?.readUInt32BE(0)
  }

  #mode(subject: string): CompatibilityMode {
    const mode = this.#environment.modes.getBinary(nameKey(subject))
    return mode === undefined ? DEFAULT_MODE : (mode.toString() as CompatibilityMode)
  }

  async #guard<T>(work: () => T | Promise<T>): Promise<T> {
    const { path } = this.#environment
    if (this.#closed) throw closedError(path)
    try {
      return await work()
    } catch (error) {
      throw translate(error, path)
    }
  }
}

/** Equal for texts that differ only in white space. */
function digestOf(subject: string, schema: string): Buffer {
  try {
    return createHash('sha256')
      .update(JSON.stringify(JSON.parse(schema)))
      .digest()
  } catch (cause) {
    throw new TidemarkError('SCHEMA_INCOMPATIBLE', `The schema for ${subject} is not valid Avro: it is not JSON.`, {
      cause,
    })
  }
}

function checkSubject(subject: string): void {
  if (subject.length > 0 && subject.length <= 512 && !subject.includes('\0')) return
  throw new TidemarkError(
    'CONFIG_INVALID',
    `A subject has 1 to 512 characters, none of them NUL: ${JSON.stringify(subject)}.`,
  )
}
