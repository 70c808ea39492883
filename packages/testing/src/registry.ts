/** A schema registry in memory that accepts everything; for tests of what lies above the codec. */
export function memoryRegistry(): {
  register(subject: string, schema: string): Promise<number>
  schemaById(id: number): Promise<string>
} {
  const ids = new Map<string, number>()
  return {
    register: async (_subject, schema) => {
      const known = ids.get(schema)
      if (known !== undefined) return known
      ids.set(schema, ids.size + 1)
      return ids.size
    },
    schemaById: async (id) => {
      for (const [schema, known] of ids) if (known === id) return schema
      throw new RangeError(`unknown schema id ${id}`)
    },
  }
}
