/** PostgreSQL for tests that cross packages. Packages' own tests import the same from `@tidemark/store-postgres/testing`. */
export {
  createTestDatabase,
  openTemporaryStore,
  postgresUrl,
  type TestDatabase,
} from '@tidemark/store-postgres/testing'
