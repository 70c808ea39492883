export { type BatchRows, collapse, countsJsonText, replacingJsonText } from './batch.ts'
export {
  causeToJson,
  changeJsonText,
  changeToJson,
  effectiveChanges,
  fieldChangesJsonText,
  fieldPointer,
  type Payload,
  pointerTokens,
  touchedFields,
  touches,
} from './changes.ts'
export { type CopiedChange, type CopyValue, toCopyRows } from './copy-rows.ts'
export {
  dueModelsSql,
  dueSql,
  type EraseStatements,
  eraseStatements,
  forgetBeforeSql,
  missingErasuresSql,
  PERSONAL_MODELS,
} from './erasure.ts'
export {
  fieldJsonTexts,
  isoTime,
  type Json,
  type JsonObject,
  postgresJson,
  recordJsonText,
  recordToJson,
} from './json.ts'
export {
  type BulkTables,
  bulkTables,
  emailsLower,
  indexedTexts,
  type Migration,
  migrations,
  PROBE_SCHEMA,
  probeTables,
} from './migrations.ts'
export { replaceSql, supersededColumns, supersededSql } from './past.ts'
export { recordFromRow } from './read.ts'
export { type ChangePosition, type ChangeSummary, type CountDelta, type ProjectedChange, toRows } from './rows.ts'
export {
  addOffsetsSql,
  BOOKKEEPING_NAMES,
  countsSql,
  HISTORY_COLUMNS,
  historySql,
  isoExpression,
  type LiveTimes,
  liveTimeSql,
  mergeSql,
  moveOffsetsSql,
  selectExpression,
  selectList,
  stagedTable,
  stageSql,
  upsertSql,
} from './statements.ts'
export { type States, statesAsOf, statesNow, versionsFrom } from './states.ts'
export {
  BOOKKEEPING,
  type Column,
  type ColumnType,
  checkSchemaName,
  deliveredColumns,
  ident,
  pastColumns,
  pastName,
  personalFields,
  qualified,
  TABLES,
  type Table,
  tableName,
} from './tables.ts'
export { type Superseded, type Versions, versionsOf } from './versions.ts'
