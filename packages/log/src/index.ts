export type {
  AppendRecord,
  AssignmentOptions,
  Bounds,
  EventLog,
  FetchRequest,
  FetchResult,
  LogRecord,
  Slice,
  StateReader,
  StateStore,
  StateWrite,
  Task,
  TaskOptions,
  TopicDifference,
  TopicSpec,
} from './log.ts'
export { readRange } from './range.ts'
export { openTail, type Tail, type TailOptions, type TailReader, type TailStart } from './tail.ts'
