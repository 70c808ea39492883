import avsc, { type Schema, type Type } from 'avsc'

/** Compatibility modes of Confluent's registry that tidemark uses; the registry port has the same. */
export type Mode = 'NONE' | 'BACKWARD' | 'FULL' | 'FULL_TRANSITIVE'

export type CompatibilityResult =
  | { readonly compatible: true }
  | { readonly compatible: false; readonly problems: readonly string[] }

/**
 * Whether a schema may follow the given versions (oldest first) under a mode, by Avro's rules of schema resolution. BACKWARD: the
 * candidate reads what the newest version wrote. FULL: and the other way round. FULL_TRANSITIVE: both with every version. NONE: it
 * only has to be a schema. Each problem names the version, the direction, the field and what is wrong.
 */
export function checkCompatibility(mode: Mode, candidate: string, history: readonly string[]): CompatibilityResult {
  const next = parse(candidate)
  if (typeof next === 'string') return { compatible: false, problems: [`the new schema is not valid Avro: ${next}`] }
  if (mode === 'NONE') return { compatible: true }
  const first = mode === 'FULL_TRANSITIVE' ? 0 : Math.max(0, history.length - 1)
  const problems: string[] = []
  for (let i = first; i < history.length; i++) {
    const version = `version ${i + 1}`
    const old = parse(history[i]!)
    if (typeof old === 'string') {
      problems.push(`${version} is not valid Avro: ${old}`)
      continue
    }
    for (const problem of unreadable(next, old)) problems.push(`the new schema cannot read ${version}: ${problem}`)
    if (mode === 'BACKWARD') continue
    for (const problem of unreadable(old, next)) problems.push(`${version} cannot read the new schema: ${problem}`)
  }
  return problems.length === 0 ? { compatible: true } : { compatible: false, problems }
}

/** avsc drops logical types that it is not told of, but a decimal of another scale is another number. */
class Decimal extends avsc.types.LogicalType {
  readonly #precision: unknown
  readonly #scale: unknown

  constructor(schema: Schema, options?: Record<string, unknown>) {
    super(schema, options)
    const { precision, scale } = schema as unknown as Record<string, unknown>
    this.#precision = precision
    this.#scale = scale ?? 0
  }

  equalsDecimal(other: Decimal): boolean {
    return this.#precision === other.#precision && this.#scale === other.#scale
  }

  protected override _fromValue(value: unknown): unknown {
    return value
  }

  protected override _toValue(value: unknown): unknown {
    return value
  }

  protected override _resolve(writer: Type): ((value: unknown) => unknown) | undefined {
    return writer instanceof Decimal && !this.equalsDecimal(writer) ? undefined : (value) => value
  }
}

const underlying = (type: Type): Kind => (type instanceof Decimal ? type.underlyingType : type) as Kind

/** The schema as avsc type, or why it is none. */
function parse(text: string): Type | string {
  try {
    const schema = JSON.parse(text) as Schema
    const type = avsc.Type.forSchema(schema, { noAnonymousTypes: true, logicalTypes: { decimal: Decimal } })
    const wrong = enumDefaultProblem(schema)
    return wrong ?? type
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** avsc takes any default of an enum, although only a symbol can stand in for an unknown symbol. */
function enumDefaultProblem(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined
  const { type, name, symbols, default: byDefault } = schema as Record<string, unknown>
  if (type === 'enum' && byDefault !== undefined && Array.isArray(symbols) && !symbols.includes(byDefault)) {
    return `the default ${JSON.stringify(byDefault)} of the enum ${String(name)} is not one of its symbols`
  }
  for (const part of Object.values(schema)) {
    const problem = enumDefaultProblem(part)
    if (problem) return problem
  }
  return undefined
}

/** What keeps `reader` from reading what `writer` wrote, field by field. */
function unreadable(reader: Type, writer: Type): string[] {
  const problems = explain(reader, writer, { path: '', seen: new Set() })
  if (problems.length > 0) return problems
  const problem = resolve(reader, writer)
  return problem === undefined ? [] : [problem]
}

function resolve(reader: Type, writer: Type): string | undefined {
  try {
    reader.createResolver(writer)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

interface Place {
  readonly path: string
  /** Pairs of records already compared, so that recursive schemas come to an end. */
  readonly seen: Set<string>
}

type Kind = Type & {
  readonly typeName: string
  readonly fields?: readonly {
    readonly name: string
    readonly type: Type
    readonly aliases: readonly string[]
    defaultValue(): unknown
  }[]
  readonly itemsType?: Type
  readonly valuesType?: Type
  readonly types?: readonly Type[]
  readonly aliases?: readonly string[]
}

function explain(reader: Type, writer: Type, place: Place): string[] {
  if (reader instanceof Decimal && writer instanceof Decimal && !reader.equalsDecimal(writer)) {
    return [at(place, 'decimals of different precision or scale')]
  }
  const to = underlying(reader)
  const from = underlying(writer)
  if (from.types) return from.types.flatMap((branch) => explain(reader, branch, place))
  if (to.types) return explainUnion(to.types, from, place)
  if (to.typeName === 'array' && from.typeName === 'array') {
    return explain(to.itemsType!, from.itemsType!, { ...place, path: `${place.path}[]` })
  }
  if (to.typeName === 'map' && from.typeName === 'map') {
    return explain(to.valuesType!, from.valuesType!, { ...place, path: `${place.path}{}` })
  }
  if (to.fields && from.fields && (to.name === from.name || to.aliases?.includes(from.name ?? ''))) {
    return explainRecord(to, from, place)
  }
  const problem = resolve(to, from)
  return problem === undefined ? [] : [at(place, `${problem}${enumDetail(to, from)}`)]
}

/** A writer's branch is read by a branch that can, else its problems are those of the branch of its name. */
function explainUnion(branches: readonly Type[], writer: Kind, place: Place): string[] {
  const found = branches.map((branch) => explain(branch, writer, { ...place, seen: new Set(place.seen) }))
  if (found.some((problems) => problems.length === 0)) return []
  const named = branches.findIndex((branch) => branch.name !== undefined && branch.name === writer.name)
  if (named >= 0) return found[named]!
  return [at(place, `no branch of the reader's union takes ${label(writer)}`)]
}

function explainRecord(to: Kind, from: Kind, place: Place): string[] {
  const pair = `${to.name} ${from.name}`
  if (place.seen.has(pair)) return []
  const seen = new Set(place.seen).add(pair)
  return to.fields!.flatMap((field) => {
    const path = place.path === '' ? field.name : `${place.path}.${field.name}`
    const source = from.fields!.find(({ name }) => name === field.name || field.aliases.includes(name))
    if (source) return explain(field.type, source.type, { path, seen })
    return field.defaultValue() === undefined ? [`${path}: the field is missing and has no default`] : []
  })
}

function enumDetail(to: Kind, from: Kind): string {
  if (to.typeName !== 'enum' || from.typeName !== 'enum') return ''
  const known = new Set((to as unknown as { symbols: readonly string[] }).symbols)
  const missing = (from as unknown as { symbols: readonly string[] }).symbols.filter((symbol) => !known.has(symbol))
  return missing.length === 0 ? '' : ` (it lacks ${missing.join(', ')})`
}

const at = ({ path }: Place, problem: string): string => (path === '' ? problem : `${path}: ${problem}`)
const label = (type: Kind): string => type.name ?? type.typeName
