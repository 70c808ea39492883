/** Decodes values of `ats.*` by the schema whose id they begin with. Setting: REGISTRY_URL. Elsewhere: npm install @kafkajs/confluent-schema-registry */
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'

const registry = new SchemaRegistry({ host: process.env['REGISTRY_URL'] ?? 'http://127.0.0.1:8081' })

/** A record of a model, such as a candidate. Times are milliseconds since 1970. */
export type AtsRecord = { readonly id: string } & Readonly<Record<string, unknown>>

/** A value of `ats.<model>.changes`, without the fields these programs do not use; README.md lists them all. */
export interface Change {
  readonly event_id: string
  readonly id: string
  readonly version: number
  readonly op: string
  readonly before: AtsRecord | null
  readonly after: AtsRecord | null
}

/** A value of `ats.<model>.snapshots`. */
export interface Snapshot {
  readonly version: number
  readonly record: AtsRecord
}

/** Schemas are fetched once per id and kept: an id never changes its meaning. */
export const decodeChange = async (value: Buffer): Promise<Change> => (await registry.decode(value)) as Change
export const decodeSnapshot = async (value: Buffer): Promise<Snapshot> => (await registry.decode(value)) as Snapshot
