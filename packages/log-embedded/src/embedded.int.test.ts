import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import { logContract, stateContract } from '@tidemark/log/contract'
import { registryContract } from '@tidemark/registry/contract'
import { type Embedded, openEmbedded } from './embedded.ts'

const DELETE_RETENTION_MS = 60_000

/** An embedded log in a directory of its own, which can be closed and opened again. */
async function opened() {
  const path = mkdtempSync(join(tmpdir(), 'log-embedded-'))
  const open = (): Promise<Embedded> =>
    openEmbedded({ path, clock: systemClock, deleteRetentionMs: DELETE_RETENTION_MS, recordBytesMax: 1_000_000 })
  let data = await open()
  return {
    data: () => data,
    async reopen(): Promise<Embedded> {
      await data.close()
      data = await open()
      return data
    },
    async dispose(): Promise<void> {
      await data.close()
      rmSync(path, { recursive: true, force: true })
    },
  }
}

logContract(
  'log-embedded',
  async () => {
    const { data, reopen, dispose } = await opened()
    return {
      log: data().log,
      topicPrefix: '',
      reopen: async () => (await reopen()).log,
      maintain: async (nowMs) => {
        await data().maintain(nowMs)
      },
      dispose,
    }
  },
  {
    retention: true,
    compaction: true,
    atomicAppend: true,
    denseOffsets: true,
    deleteRetentionMs: DELETE_RETENTION_MS,
    tooLargeBytes: 1_000_001,
    modelRuns: 60,
  },
)

stateContract('log-embedded', async () => {
  const { data, reopen, dispose } = await opened()
  return {
    state: await data().openState('s'),
    reopen: async () => (await reopen()).openState('s'),
    dispose,
  }
})

registryContract('log-embedded', async () => {
  const { data, reopen, dispose } = await opened()
  return { registry: data().registry, reopen: async () => (await reopen()).registry, dispose }
})
