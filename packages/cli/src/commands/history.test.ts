import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { runCli } from '../program.ts'

const entry = (version: number, changes: readonly object[]) => ({
  ...{
    version,
    op: 'updated',
    event_id: `0-${version}`,
    changed_at: '2026-03-01T09:00:00.000Z',
    remote_changed_at: null,
  },
  ...{ merged_into_id: null, changes, cause: { kind: 'webhook', event_name: 'data-changed' } },
})

it('tells erased values from empty ones', async () => {
  const results = [
    entry(2, [{ path: '/first_name', op: 'replace', before: null, after: null, erased: true }]),
    entry(3, [{ path: '/first_name', op: 'add', before: null, after: 'Frodo', erased: true }]),
    entry(4, [{ path: '/company', op: 'add', before: null, after: 'Shire' }]),
  ]
  const body = { status: 'success', data: { integration_id: 'kombo:a', next: null, results } }
  const server = createServer((_, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  let stdout = ''
  const write = (text: string): boolean => {
    stdout += text
    return true
  }
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const io = { stdout: { write }, stderr: { write }, env: { NO_COLOR: '1' } }
    expect(await runCli(['node', 'tidemark', 'history', 'candidates', 'x', '--url', url], io)).toBe(0)
  } finally {
    server.close()
  }
  expect(stdout.split('\n').filter((line) => line.startsWith('    '))).toEqual([
    '    /first_name  (erased) -> (erased)',
    '    /first_name  (erased) -> Frodo',
    '    /company  ∅ -> Shire',
  ])
})
