export type {
  ChildList,
  Connector,
  ConnectorDeps,
  FetchOptions,
  Mapped,
  MappedRecord,
  MappingFailure,
  Page,
  PointRead,
  PointReadOptions,
  PointReads,
  Source,
  StreamName,
  WebhookEffect,
  WebhookReading,
  WebhookRequest,
} from './connector.ts'
export { type NotSupported, notSupported } from './notSupported.ts'
