/** PostgreSQL for tests that cross packages. Packages' own tests import the same from `@tidemark/store-postgres/testing`. */
export { createTestDatabase, postgresUrl, type TestDatabase } from '@tidemark/store-postgres/testing'
