import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkCompatibility } from '@tidemark/codec'
import { MODEL_NAMES, MODEL_SCHEMAS, PUBLISHED_SCHEMAS } from '@tidemark/model'
import avro from 'avsc'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')

describe('published schemas', () => {
  it('are there for every model, three each, and for what stands alone', () => {
    const files = globSync('schemas/published/*.v*.avsc', { cwd: ROOT })
    expect(files.length).toBe(Object.values(PUBLISHED_SCHEMAS).flat().length)
    expect(Object.keys(PUBLISHED_SCHEMAS)).toHaveLength(MODEL_NAMES.length * 3 + 6)
  })

  it.each(Object.entries(PUBLISHED_SCHEMAS))('%s is FULL_TRANSITIVE over all its versions', (_subject, versions) => {
    versions.forEach((version, i) => {
      expect(checkCompatibility('FULL_TRANSITIVE', version, versions.slice(0, i))).toEqual({ compatible: true })
    })
  })

  // Registries may compare schemas without their docs, and give such a version the id of the one before.
  it.each(Object.entries(PUBLISHED_SCHEMAS))(
    '%s has no version that differs from another only in its docs',
    (_, versions) => {
      const bare = versions.map((version) =>
        JSON.stringify(JSON.parse(version, (key, value) => (key === 'doc' ? undefined : value))),
      )
      expect(new Set(bare).size).toBe(versions.length)
    },
  )

  it.each(Object.entries(PUBLISHED_SCHEMAS))(
    '%s can be parsed by any Avro library: every name is defined once, before its use',
    (_subject, versions) => {
      for (const version of versions)
        expect(() => avro.Type.forSchema(JSON.parse(version) as avro.Schema)).not.toThrow()
    },
  )

  it('that are released stay as they are', () => {
    const released = JSON.parse(readFileSync(join(ROOT, 'schemas/published/released.json'), 'utf8')) as Record<
      string,
      string
    >
    expect(Object.keys(released).length).toBeGreaterThanOrEqual(65)
    for (const [file, hash] of Object.entries(released)) {
      const text = readFileSync(join(ROOT, 'schemas/published', file), 'utf8')
      expect(
        createHash('sha256').update(text).digest('hex'),
        `${file} was released: add a version instead of editing it`,
      ).toBe(hash)
    }
  })

  it('would be refused when a field is renamed, removed without a default, or added without one', () => {
    const text = PUBLISHED_SCHEMAS['ats.candidates.changes-value']?.at(-1) as string
    const edited = (edit: (schema: { fields: Record<string, unknown>[] }) => void): string => {
      const schema = JSON.parse(text) as { fields: Record<string, unknown>[] }
      edit(schema)
      return JSON.stringify(schema)
    }
    const verdict = (candidate: string): boolean => checkCompatibility('FULL_TRANSITIVE', candidate, [text]).compatible
    expect(verdict(edited(() => undefined))).toBe(true)
    expect(verdict(edited((s) => s.fields.push({ name: 'extra', type: ['null', 'string'], default: null })))).toBe(true)
    expect(verdict(edited((s) => s.fields.push({ name: 'extra', type: 'string' })))).toBe(false)
    expect(verdict(edited((s) => s.fields.splice(0, 1)))).toBe(false)
    expect(verdict(edited((s) => Object.assign(s.fields[5] as object, { name: 'operation' })))).toBe(false)
    expect(verdict(edited((s) => Object.assign(s.fields[4] as object, { type: 'string' })))).toBe(false)
  })
})

describe('model schemas', () => {
  it('mark the personal data of people, so that redaction and erasure can read one mark', () => {
    const personal = (model: 'candidates' | 'users' | 'notes'): string[] =>
      MODEL_SCHEMAS[model].fields.filter((f) => f.personal).map((f) => f.name)
    expect(personal('candidates')).toEqual(
      expect.arrayContaining([
        'first_name',
        'last_name',
        'email_addresses',
        'phone_numbers',
        'social_media',
        'location',
        'custom_fields',
        'remote_data',
      ]),
    )
    expect(personal('users')).toEqual(expect.arrayContaining(['first_name', 'last_name', 'email']))
    expect(personal('notes')).toEqual(expect.arrayContaining(['title', 'content_html']))
  })

  it.each(MODEL_NAMES)(
    '%s: id is the only field that must be there, and every tombstone has the same name',
    (model) => {
      const { fields } = MODEL_SCHEMAS[model]
      expect(fields.filter((f) => !Array.isArray(f.type)).map((f) => f.name)).toEqual(['id'])
      expect(fields.map((f) => f.name)).toContain('remote_deleted_at')
      expect(fields.filter((f) => Array.isArray(f.type)).every((f) => f.default === null)).toBe(true)
    },
  )

  it('are what the reference diff and the generated types were made from', () => {
    for (const model of MODEL_NAMES) {
      const file = JSON.parse(readFileSync(join(ROOT, `schemas/models/${model}.avsc`), 'utf8')) as unknown
      expect(file).toEqual(MODEL_SCHEMAS[model])
    }
  })
})
