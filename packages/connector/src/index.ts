export type {
  AccessCheck,
  ChildList,
  Connector,
  ConnectorDeps,
  FetchOptions,
  Mapped,
  MappedRecord,
  MappingFailure,
  Page,
  Paging,
  PointRead,
  PointReadOptions,
  PointReads,
  PushedRun,
  Source,
  StreamName,
  WebhookEffect,
  WebhookReading,
  WebhookRequest,
} from './connector.ts'
export { type NotSupported, notSupported } from './notSupported.ts'
export { unwritten } from './unwritten.ts'
