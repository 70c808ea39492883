import { storeContract } from '@tidemark/store/contract'
import { describe } from 'vitest'
import { openPostgres } from './index.ts'
import { createTestDatabase, postgresUrl } from './testing.ts'

const serverUrl = await postgresUrl()

describe.skipIf(serverUrl === undefined)('on a real server', () => {
  storeContract('store-postgres', async () => {
    const database = await createTestDatabase(serverUrl!)
    let store = await openPostgres({ url: database.url })
    return {
      store,
      reopen: async () => {
        await store.close()
        store = await openPostgres({ url: database.url })
        return store
      },
      dispose: async () => {
        await store.close()
        await database.drop()
      },
    }
  })
})
