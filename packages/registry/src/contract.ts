import { afterEach, describe, expect, it } from 'vitest'
import type { SchemaRegistry } from './registry.ts'

export interface RegistryHarness {
  /** Empty, or one whose subjects do not begin with `subjectPrefix`. */
  readonly registry: SchemaRegistry
  /** Begins all subjects of the case and the names of its records; for registries that cases share. Default none. */
  readonly subjectPrefix?: string
  /** Closes the registry and opens it again on the same data. */
  reopen(): Promise<SchemaRegistry>
  dispose(): Promise<void>
}

const field = (name: string, type: unknown, byDefault?: unknown): object =>
  byDefault === undefined ? { name, type } : { name, type, default: byDefault }
const schemaOf = (name: string, ...fields: object[]): string => JSON.stringify({ type: 'record', name, fields })
const same = (a: string, b: string): void => expect(JSON.parse(a)).toEqual(JSON.parse(b))

/** Registers the contract of the SchemaRegistry port as vitest cases. */
export function registryContract(name: string, openHarness: () => Promise<RegistryHarness>): void {
  describe(`${name}, as schema registry`, () => {
    const opened: RegistryHarness[] = []
    afterEach(async () => {
      for (const harness of opened.splice(0)) await harness.dispose()
    })
    async function open() {
      const harness = await openHarness()
      opened.push(harness)
      const prefix = harness.subjectPrefix ?? ''
      const record = `R${prefix.replaceAll(/[^a-zA-Z0-9]/g, '')}`
      return {
        harness,
        registry: harness.registry,
        subject: (s: string) => `${prefix}${s}`,
        v: (...fields: object[]) => schemaOf(record, ...fields),
      }
    }
    const incompatible = (subject: string) => ({
      code: 'SCHEMA_INCOMPATIBLE',
      message: expect.stringContaining(subject),
    })

    it('gives a schema an id, and the schema for the id', async () => {
      const { registry, subject, v } = await open()
      const text = v(field('a', 'int'))
      const id = await registry.register(subject('s'), text)
      expect(Number.isInteger(id) && id > 0).toBe(true)
      same(await registry.schemaById(id), text)
    })

    it('gives the same id when a schema is registered again, also under another subject or after newer versions', async () => {
      const { registry, subject, v } = await open()
      const first = v(field('a', 'int'))
      const id = await registry.register(subject('s'), first)
      const second = await registry.register(subject('s'), v(field('a', 'int'), field('b', 'int', 0)))
      expect(second).not.toBe(id)
      expect(await registry.register(subject('s'), first)).toBe(id)
      expect(await registry.register(subject('t'), first)).toBe(id)
      expect(await registry.register(subject('t'), JSON.stringify(JSON.parse(first), null, 2))).toBe(id)
      expect((await registry.versions(subject('s'))).map((one) => one.id)).toEqual([id, second])
      expect((await registry.versions(subject('t'))).map((one) => one.id)).toEqual([id])
    })

    it('lists versions oldest first, from 1 on, and subjects in name order', async () => {
      const { registry, subject, v } = await open()
      const texts = [
        v(field('a', 'int')),
        v(field('a', 'int'), field('b', 'int', 0)),
        v(field('a', 'int'), field('c', 'int', 0)),
      ]
      for (const text of texts) await registry.register(subject('b'), text)
      await registry.register(subject('a-value'), texts[0]!)
      await registry.register(subject('a'), texts[0]!)
      const versions = await registry.versions(subject('b'))
      expect(versions.map(({ version }) => version)).toEqual([1, 2, 3])
      for (const [i, { id, schema }] of versions.entries()) {
        same(schema, texts[i]!)
        same(await registry.schemaById(id), texts[i]!)
      }
      const mine = (await registry.subjects()).filter((one) => one.startsWith(subject('')))
      expect(mine).toEqual([subject('a'), subject('a-value'), subject('b')])
      expect(await registry.versions(subject('unknown'))).toEqual([])
    })

    it('throws SCHEMA_UNKNOWN for an id it never gave', async () => {
      const { registry } = await open()
      await expect(registry.schemaById(1_999_999_999)).rejects.toMatchObject({ code: 'SCHEMA_UNKNOWN' })
    })

    it('refuses by default what is not fully compatible with every version, and registers nothing of it', async () => {
      const { registry, subject, v } = await open()
      const s = subject('s')
      await registry.register(s, v(field('a', 'int', 0)))
      await registry.register(s, v(field('b', 'int', 0)))
      const refused = [
        v(field('b', 'string', '')),
        v(field('a', 'string', ''), field('b', 'int', 0)),
        v(field('b', 'int', 0), field('c', 'int')),
      ]
      for (const text of refused) await expect(registry.register(s, text)).rejects.toMatchObject(incompatible(s))
      expect(await registry.versions(s)).toHaveLength(2)
    })

    it('checks under BACKWARD only that the newest version can be read', async () => {
      const { registry, subject, v } = await open()
      const s = subject('s')
      await registry.setCompatibility(s, 'BACKWARD')
      await registry.register(s, v(field('a', 'int')))
      await registry.register(s, v(field('a', 'long')))
      await expect(registry.register(s, v(field('a', 'int'), field('b', 'int')))).rejects.toMatchObject(incompatible(s))
      expect(await registry.versions(s)).toHaveLength(2)
    })

    it('checks under FULL both directions, with the newest version only', async () => {
      const { registry, subject, v } = await open()
      const s = subject('s')
      await registry.setCompatibility(s, 'FULL')
      await registry.register(s, v(field('a', 'int', 0)))
      await registry.register(s, v(field('b', 'int', 0)))
      await registry.register(s, v(field('a', 'string', ''), field('b', 'int', 0)))
      await expect(registry.register(s, v(field('b', 'long', 0)))).rejects.toMatchObject(incompatible(s))
      expect(await registry.versions(s)).toHaveLength(3)
    })

    it('checks nothing under NONE, per subject, and only for later registrations', async () => {
      const { registry, subject, v } = await open()
      await registry.register(subject('s'), v(field('a', 'int')))
      await registry.register(subject('t'), v(field('a', 'int')))
      await registry.setCompatibility(subject('s'), 'NONE')
      await registry.register(subject('s'), v(field('a', 'string')))
      const t = subject('t')
      await expect(registry.register(t, v(field('a', 'string')))).rejects.toMatchObject(incompatible(t))
      await registry.setCompatibility(subject('s'), 'FULL_TRANSITIVE')
      const s = subject('s')
      await expect(registry.register(s, v(field('b', 'string')))).rejects.toMatchObject(incompatible(s))
    })

    it('refuses what is not a schema', async () => {
      const { registry, subject } = await open()
      for (const text of ['{', '{"type":"nope"}']) await expect(registry.register(subject('s'), text)).rejects.toThrow()
      expect(await registry.versions(subject('s'))).toEqual([])
    })

    it('gives concurrent registrations of one schema one id', async () => {
      const { registry, subject, v } = await open()
      const ids = await Promise.all(
        Array.from({ length: 20 }, (_, i) => registry.register(subject(`s${i % 3}`), v(field('a', 'int')))),
      )
      expect(new Set(ids).size).toBe(1)
      expect(await registry.versions(subject('s0'))).toHaveLength(1)
    })

    it('keeps ids, versions and modes over a reopening', async () => {
      const { harness, subject, v } = await open()
      const first = await harness.registry.register(subject('s'), v(field('a', 'int')))
      await harness.registry.setCompatibility(subject('s'), 'NONE')
      const registry = await harness.reopen()
      const second = await registry.register(subject('s'), v(field('a', 'string')))
      expect((await registry.versions(subject('s'))).map(({ id }) => id)).toEqual([first, second])
      expect(second).not.toBe(first)
      same(await registry.schemaById(first), v(field('a', 'int')))
    })
  })
}
