export type { CopyRow, CopyRows, CopyTarget } from '@tidemark/store'
export type { PostgresOptions } from './options.ts'
export { openPostgres, type PostgresStore } from './postgres.ts'
export type { PostgresRunner } from './transaction.ts'
