export type { CopyRow, CopyRows, CopyTarget, Row, SqlRunner, SqlStore, SqlValue } from './store.ts'
