import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { runCli } from '../program.ts'

interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** A server that gives these answers one after the other, and the queries that it was asked. */
async function serve(...answers: readonly { status?: number; body: object }[]) {
  const queries: URLSearchParams[] = []
  const server = createServer((request, response) => {
    queries.push(new URL(request.url ?? '', 'http://x').searchParams)
    const { status = 200, body } = answers[queries.length - 1] ?? { status: 500, body: {} }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, queries }
}

async function run(url: string, ...args: readonly string[]): Promise<Run> {
  const out = { stdout: '', stderr: '' }
  const writer = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      out[name] += text
      return true
    },
  })
  const io = { stdout: writer('stdout'), stderr: writer('stderr'), env: { NO_COLOR: '1' } }
  return { code: await runCli(['node', 'tidemark', 'diff', 'kombo:a', '--url', url, ...args], io), ...out }
}

const entry = (remote: string, more: object) => ({
  model: 'jobs',
  id: `id-${remote}`,
  remote_id: remote,
  op: 'updated',
  from_version: 1,
  to_version: 2,
  change_count: 1,
  merged_into_id: null,
  erased: false,
  changes: [],
  ...more,
})
const page = (results: readonly object[], next: string | null = null) => ({
  body: { status: 'success', data: { from: 'T1', to: 'T2', next, results } },
})
const name = { path: '/name', op: 'replace', before: 'Cook', after: 'Chef\u001b[2J' }

it('prints every page: each record with its net effect and the fields that differ', async () => {
  const { url, queries } = await serve(
    page(
      [
        entry('1', { changes: [name], to_version: 4, change_count: 3 }),
        entry('2', { op: 'created', from_version: null }),
      ],
      'more',
    ),
    page([entry('3', { op: 'deleted', erased: true })]),
  )
  const { code, stdout, stderr } = await run(url, '--from', '2026-03-01', '--to', '2026-03-02', '--model', 'jobs,tags')
  expect([code, stderr.trim()]).toEqual([0, '3 records changed'])
  expect(stdout.trimEnd().split('\n')).toEqual([
    'kombo:a  T1 to T2',
    'updated jobs id-1  remote id 1 · v1 -> v4 · 3 changes',
    '    /name  Cook -> Chef [2J',
    'created jobs id-2  remote id 2 · v2',
    'deleted jobs id-3  remote id 3 · v1 -> v2 · personal data was erased',
  ])
  expect(queries.map((query) => Object.fromEntries(query))).toMatchObject([
    { integration_id: 'kombo:a', from: '2026-03-01', to: '2026-03-02', model: 'jobs,tags' },
    { integration_id: 'kombo:a', from: '2026-03-01', cursor: 'more' },
  ])
})

it('takes durations before now, and prints JSON lines', async () => {
  const { url, queries } = await serve(page([entry('1', {})]))
  const { code, stdout } = await run(url, '--from', '-2h', '--json')
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toEqual(entry('1', {}))
  const from = Date.parse(queries[0]?.get('from') ?? '')
  expect(Math.abs(Date.now() - 2 * 3_600_000 - from)).toBeLessThan(60_000)
  expect(queries[0]?.has('to')).toBe(false)
})

it('says when nothing changed', async () => {
  const { url } = await serve(page([]))
  expect(await run(url, '--from', '7d ago')).toMatchObject({ code: 0, stderr: 'nothing changed\n' })
})

it('fails with the words of the server, and on what is no time', async () => {
  const { url } = await serve({
    status: 400,
    body: { error: { code: 'PLATFORM.INPUT_INVALID', message: 'its history begins on T0' } },
  })
  const refused = await run(url, '--from', '2020-01-01')
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('its history begins on T0') })
  expect(await run(url, '--from', 'yesterday')).toMatchObject({ code: 1, stderr: expect.stringContaining('--from') })
  expect((await run(url)).code).toBe(2)
})
