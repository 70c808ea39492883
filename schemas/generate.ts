/**
 * Expands `models/*.avsc` and `envelopes/*.avsc` into the published schemas and the TypeScript types.
 *
 *   node schemas/generate.ts            writes; a released schema that changed becomes the next version
 *   node schemas/generate.ts --check    fails when what is committed differs from what would be written
 *   node schemas/generate.ts --release  records the hashes of the newest versions: from then on they never change
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const HERE = import.meta.dirname
const PUBLISHED = join(HERE, 'published')
const TYPES = join(HERE, '../packages/model/src/generated/types.ts')
const RELEASES = join(PUBLISHED, 'released.json')
const check = process.argv.includes('--check')

interface Field {
  name: string
  type: unknown
  default?: unknown
  doc?: string
  json?: boolean
}
interface RecordSchema {
  type: 'record'
  name: string
  namespace?: string
  doc?: string
  model?: string
  fields: Field[]
}

const read = (path: string): RecordSchema => JSON.parse(readFileSync(join(HERE, path), 'utf8')) as RecordSchema
/** The order in which models are written everywhere: parents first, as the design lists them. */
const ORDER =
  'jobs job-postings candidates applications application-stages interviews offers rejection-reasons tags users roles screening-questions notes ' +
  'candidate-tags job-stages job-hiring-team job-screening-questions interview-users user-roles job-role-assignments'
const models = ORDER.split(' ').map((name) => read(`models/${name}.avsc`))
const singles = ['raw', 'control', 'sync-event', 'dead-letter', 'command', 'complete-run'].map((name) =>
  read(`${name}.avsc`),
)
const problems: string[] = []

/** Puts each named type in place at its first use; later uses are its name. */
function expand(envelope: string, model: RecordSchema): RecordSchema {
  const text = readFileSync(join(HERE, `envelopes/${envelope}.avsc`), 'utf8')
  const named = JSON.parse(
    text.replaceAll('{Record}', model.name).replaceAll('{model}', model.model ?? ''),
  ) as RecordSchema
  let placed = false
  const walk = (node: unknown): unknown => {
    if (node === model.name) {
      if (placed) return node
      placed = true
      return withoutNamespace(model)
    }
    if (Array.isArray(node)) return node.map(walk)
    if (typeof node === 'object' && node !== null) {
      return Object.fromEntries(
        Object.entries(node).map(([k, v]) => [
          k,
          k === 'type' || k === 'items' || k === 'fields'
            ? walk(v)
            : Array.isArray(v) && k !== 'default'
              ? v.map(walk)
              : v,
        ]),
      )
    }
    return node
  }
  return walk(named) as RecordSchema
}

function withoutNamespace({ namespace: _, model: __, ...rest }: RecordSchema): object {
  return rest
}

function versionsOf(subject: string): number[] {
  return readdirSync(PUBLISHED)
    .map((file) => new RegExp(`^${subject.replaceAll('.', '\\.')}\\.v(\\d+)\\.avsc$`).exec(file)?.[1])
    .filter((v) => v !== undefined)
    .map(Number)
    .sort((a, b) => a - b)
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const released: Record<string, string> = existsSync(RELEASES)
  ? (JSON.parse(readFileSync(RELEASES, 'utf8')) as Record<string, string>)
  : {}

function publish(subject: string, schema: object): void {
  const text = `${JSON.stringify(schema)}\n`
  const newest = versionsOf(subject).at(-1) ?? 0
  const file = (v: number): string => `${subject}.v${v}.avsc`
  const current = newest === 0 ? undefined : readFileSync(join(PUBLISHED, file(newest)), 'utf8')
  if (current === text) return
  if (check) {
    problems.push(`schemas/published/${file(newest)} differs from its sources; run: npm run schemas`)
    return
  }
  const target = newest === 0 ? 1 : file(newest) in released ? newest + 1 : newest
  writeFileSync(join(PUBLISHED, file(target)), text)
}

mkdirSync(PUBLISHED, { recursive: true })
for (const [file, hash] of Object.entries(released)) {
  if (!existsSync(join(PUBLISHED, file))) problems.push(`schemas/published/${file} was released and is gone`)
  else if (sha256(readFileSync(join(PUBLISHED, file), 'utf8')) !== hash)
    problems.push(`schemas/published/${file} was released and has been edited; add a new version instead`)
}
for (const model of models) {
  publish(`ats.${model.model}.changes-value`, expand('change', model))
  publish(`ats.${model.model}.snapshots-value`, expand('snapshot', model))
  publish(`tidemark.ats.${model.name}Observation`, expand('observation', model))
}
const SINGLE_SUBJECT: Record<string, string> = {
  Raw: 'ats.raw-value',
  Control: 'tidemark.ats.Control',
  SyncEvent: 'ats.syncs-value',
  CompleteRun: 'ats.complete-runs-value',
  DeadLetter: 'ats.dead-letters-value',
  Command: 'ats.commands-value',
}
for (const schema of singles) publish(SINGLE_SUBJECT[schema.name] as string, schema)

// ---- TypeScript types

const written = new Map<string, string>()

function tsType(type: unknown, field?: Field): string {
  if (Array.isArray(type)) return `${tsType(type[1], field)} | null`
  if (typeof type === 'object' && type !== null) {
    const node = type as { type: string; items?: unknown; values?: unknown; logicalType?: string }
    if (node.type === 'record') return tsInterface(node as RecordSchema)
    if (node.type === 'array') return `readonly ${tsElement(tsType(node.items))}[]`
    if (node.type === 'map') return `Readonly<Record<string, ${tsType(node.values)}>>`
    return tsType(node.type)
  }
  const names: Record<string, string> = {
    string: 'string',
    double: 'number',
    int: 'number',
    long: 'number',
    boolean: 'boolean',
    bytes: 'Uint8Array',
  }
  return names[String(type)] ?? String(type)
}

const tsElement = (text: string): string => (text.includes('|') ? `(${text})` : text)

function tsInterface(schema: RecordSchema): string {
  const lines = schema.fields.map(
    (f) => `${f.doc ? `  /** ${f.doc} */\n` : ''}  readonly ${f.name}: ${tsType(f.type, f)}`,
  )
  const doc = schema.doc ? `/** ${schema.doc} */\n` : ''
  const text = `${doc}export interface ${schema.name} {\n${lines.join('\n')}\n}\n`
  const before = written.get(schema.name)
  // Shared types appear in several files; the most documented writing wins.
  if (before === undefined || before.length < text.length) written.set(schema.name, text)
  return schema.name
}

for (const schema of [...models, ...singles]) tsInterface(schema)
const envelopeModel: RecordSchema = { type: 'record', name: 'ModelRecord', model: 'ATS', fields: [] }
for (const envelope of ['observation', 'snapshot', 'change']) tsInterface(expand(envelope, envelopeModel))
written.delete('ModelRecord')

const envelopeSource = (name: string): string =>
  JSON.stringify(JSON.parse(readFileSync(join(HERE, `envelopes/${name}.avsc`), 'utf8')))
const types = `// Generated from schemas/ by schemas/generate.ts. Do not edit: run \`npm run schemas\`.
import type { AvroRecord, ModelSchema } from '../schema.ts'

/** The 13 entities and 7 joins. */
export const MODEL_NAMES = ${JSON.stringify(models.map((m) => m.model))} as const
export type ModelName = (typeof MODEL_NAMES)[number]

${[...written.values()].join('\n')}
/** Record type of each model. */
export interface Models {
${models.map((m) => `  '${m.model}': ${m.name}`).join('\n')}
}
export type ModelRecord = Models[ModelName]

/** Avro schema of each model's record. */
export const MODEL_SCHEMAS: Readonly<Record<ModelName, ModelSchema>> = {
${models.map((m) => `  '${m.model}': ${JSON.stringify(m)} as ModelSchema,`).join('\n')}
}

/** Envelopes; \`{Record}\` and \`{model}\` stand for the model's names. */
export const ENVELOPE_TEMPLATES = {
${['observation', 'snapshot', 'change'].map((e) => `  ${e}: ${JSON.stringify(envelopeSource(e))},`).join('\n')}
} as const

/** Subject to its published schema texts, oldest first, as they are registered. */
export const PUBLISHED_SCHEMAS: Readonly<Record<string, readonly string[]>> = {
${publishedNow()
  .map(([subject, texts]) => `  '${subject}': ${JSON.stringify(texts)},`)
  .join('\n')}
}

/** Schemas that stand alone. */
export const SINGLE_SCHEMAS = {
${singles.map((s) => `  ${s.name}: ${JSON.stringify(s)} as AvroRecord,`).join('\n')}
} as const
`

function publishedNow(): [string, string[]][] {
  const files = readdirSync(PUBLISHED).map((file) => /^(.*)\.v\d+\.avsc$/.exec(file)?.[1])
  const subjects = [...new Set(files.filter((subject) => subject !== undefined))].sort()
  const text = (subject: string, version: number): string =>
    readFileSync(join(PUBLISHED, `${subject}.v${version}.avsc`), 'utf8').trim()
  return subjects.map((subject) => [subject, versionsOf(subject).map((version) => text(subject, version))])
}

if (check) {
  if (!existsSync(TYPES) || readFileSync(TYPES, 'utf8') !== types)
    problems.push('packages/model/src/generated/types.ts differs from schemas/; run: npm run schemas')
} else {
  mkdirSync(join(TYPES, '..'), { recursive: true })
  writeFileSync(TYPES, types)
}
if (process.argv.includes('--release')) {
  for (const file of readdirSync(PUBLISHED).filter((f) => f.endsWith('.avsc')))
    released[file] ??= sha256(readFileSync(join(PUBLISHED, file), 'utf8'))
  writeFileSync(RELEASES, `${JSON.stringify(released, null, 2)}\n`)
}
if (problems.length > 0) {
  process.stderr.write(`${problems.join('\n')}\n`)
  process.exitCode = 1
}
