/** Bounds of everything that grows. Each is a promise to the operator about memory and to the log about sizes. */
export const LIMITS = {
  /** Bytes of a record key. LMDB refuses keys above 1978 bytes; a key also stands in change events. */
  recordKeyBytesMax: 1024,
  /** Bytes of one encoded observation. Kafka refuses batches above 1 MiB (its default max.message.bytes). */
  recordBytesMax: 900_000,
  /** Bytes of a webhook body. */
  webhookBytesMax: 5_000_000,
  /** Bytes of one page of a provider. */
  pageBytesMax: 50_000_000,
  /** Event ids kept per source to recognize repeated webhooks. */
  dedupeIdsMax: 10_000,
} as const
