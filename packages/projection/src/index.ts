export { type BatchRows, collapse, countsJsonText, lastVersions } from './batch.ts'
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
export { recordFromRow } from './read.ts'
export { type ChangePosition, type ChangeSummary, type CountDelta, type ProjectedChange, toRows } from './rows.ts'
export {
  addOffsetsSql,
  BOOKKEEPING_NAMES,
  countsSql,
  deliveredColumns,
  HISTORY_COLUMNS,
  historySql,
  isoExpression,
  mergeSql,
  moveOffsetsSql,
  selectExpression,
  selectList,
  stagedTable,
  stageSql,
  upsertSql,
} from './statements.ts'
export {
  BOOKKEEPING,
  type Column,
  type ColumnType,
  checkSchemaName,
  ident,
  qualified,
  TABLES,
  type Table,
  tableName,
} from './tables.ts'
