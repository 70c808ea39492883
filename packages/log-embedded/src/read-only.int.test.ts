import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { systemClock } from '@tidemark/base'
import { expect, it } from 'vitest'
import { openEmbedded } from './embedded.ts'

/** Reads from a log read-only in a process of its own, until it has read the text `end`; prints each value. */
const READER = `
  import { systemClock } from '@tidemark/base'
  import { openEmbedded } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))}
  const { log, registry, openState, maintain, close } = await openEmbedded({ path: process.argv[1], clock: systemClock, readOnly: true })
    .then((data) => ({ log: data.log, registry: data.registry, openState: (n) => data.openState(n), maintain: (t) => data.maintain(t), close: () => data.close() }))
  const code = (promise) => promise.then(() => 'done', (error) => error.code)
  console.log(await code(log.append([{ topic: 't', partition: 0, key: null, value: null, timestampMs: 1 }])))
  console.log(await code(log.openTask({ group: 'g', topic: 't', partition: 0 })))
  console.log((await registry.versions('s')).length, JSON.stringify([...await log.positions('g', 't')]))
  for (let at = 0, text = ''; text !== 'end'; ) {
    const { records, nextOffset } = await log.fetch({ topic: 't', partition: 0, offset: at, waitMs: 20000 })
    for (const { value } of records) console.log(text = value.toString())
    at = nextOffset
  }
  await close()
`

it('a second process can read a log that the first is writing, waits included, and write nothing', async () => {
  const path = mkdtempSync(join(tmpdir(), 'log-read-only-'))
  const data = await openEmbedded({ path, clock: systemClock })
  const append = (text: string) =>
    data.log.append([{ topic: 't', partition: 0, key: null, value: Buffer.from(text), timestampMs: 1 }])
  try {
    await data.log.ensureTopics([{ name: 't', partitions: 1, cleanup: 'delete', retentionMs: null }])
    await data.registry.register('s', '"string"')
    await data.log.commitPositions('g', 't', new Map([[0, 3]]))
    await append('before')
    const child = spawn(process.execPath, ['--input-type=module', '-e', READER, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: import.meta.dirname,
    })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const line = async (): Promise<string> => (await lines.next()).value as string
    expect([await line(), await line(), await line()]).toEqual(['CONFIG_INVALID', 'CONFIG_INVALID', '1 [[0,3]]'])
    expect(await line()).toBe('before')
    await append('while it waits')
    expect(await line()).toBe('while it waits')
    const exited = once(child, 'exit')
    await append('end')
    expect(await line()).toBe('end')
    expect(await exited).toEqual([0, null])
  } finally {
    await data.close()
    rmSync(path, { recursive: true, force: true })
  }
})
