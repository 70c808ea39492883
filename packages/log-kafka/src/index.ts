export { type KafkaLog, type KafkaLogOptions, openKafka } from './kafka.ts'
export type { ClientOptions, KafkaLogger } from './kafkajs.ts'
export { type ForeignVersion, openRegistry, type RegistryOptions, type RemoteRegistry } from './registry.ts'
