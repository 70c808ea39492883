export { type BatchRows, collapse } from './batch.ts'
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
export {
  fieldJsonTexts,
  isoTime,
  type Json,
  type JsonObject,
  postgresJson,
  recordJsonText,
  recordToJson,
} from './json.ts'
export { emailsLower, type Migration, migrations } from './migrations.ts'
export { recordFromRow } from './read.ts'
export { type ChangePosition, type CountDelta, type ProjectedChange, toRows } from './rows.ts'
export {
  addOffsetsSql,
  BOOKKEEPING_NAMES,
  countsSql,
  historySql,
  isoExpression,
  moveOffsetsSql,
  selectExpression,
  selectList,
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
