export type { CopyRow, CopyRows, CopyTarget, QueryOptions, Row, SqlRunner, SqlStore, SqlValue } from './store.ts'
