export { type KafkaLog, type KafkaLogOptions, openKafka } from './kafka.ts'
export type { ClientOptions, KafkaLogger } from './kafkajs.ts'
export type { AssignmentOptions } from './membership.ts'
export { openRegistry, type RegistryOptions } from './registry.ts'
