export type { Row, SqlRunner, SqlStore, SqlValue } from './store.ts'
