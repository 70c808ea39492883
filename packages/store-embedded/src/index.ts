export { openPglite, type PgliteOptions } from './pglite.ts'
