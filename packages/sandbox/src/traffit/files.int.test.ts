import { afterEach, beforeEach, expect, it } from 'vitest'
import { createManualClock } from '../manual-clock.ts'
import { World } from '../world/world.ts'
import { createTraffitSimulator, type TraffitSimulator } from './index.ts'

let world: World
let simulator: TraffitSimulator
let api: string
let token: string

const ID = 'traffit:shire'

beforeEach(async () => {
  const clock = createManualClock()
  world = new World({ seed: 1, now: clock.now, onMutation: (mutation) => simulator?.onMutation(mutation) })
  const company = world.found({ jobs: 2, candidates: 20, applications: 10 }, 'traffit', ID)
  simulator = createTraffitSimulator({ company, clock, rateLimit: null })
  const { origin } = await simulator.start()
  api = `${origin}/api/integration/v2`
  const { clientId: client_id, clientSecret: client_secret } = simulator
  const fields = { client_id, client_secret, grant_type: 'client_credentials', scope: 'employee file' }
  const headers = { 'content-type': 'application/json' }
  const granted = await fetch(`${origin}/oauth2/token`, { method: 'POST', headers, body: JSON.stringify(fields) })
  token = ((await granted.json()) as { access_token: string }).access_token
})
afterEach(() => simulator.stop())

const ask = (path: string): Promise<Response> =>
  fetch(`${api}${path}`, { headers: { authorization: `Bearer ${token}` } })
const rows = async (path: string) => (await (await ask(path)).json()) as { id: number; name: string }[]

it('lists files with ids under their employee, names them without ids in the employee, and gives their bytes', async () => {
  const files = await rows('/employees/10/files')
  expect(files.map(({ name }) => name)).toEqual([
    expect.stringMatching(/^cv-.+\.pdf$/),
    'cover-letter.txt',
    'certificate.pdf',
  ])
  const employee = (await (await ask('/employees/10')).json()) as { files: { filename: string }[] }
  expect(employee.files.map((file) => Object.keys(file))).toEqual(Array(3).fill(['filename', 'file_uploaded']))
  expect(employee.files.map(({ filename }) => filename)).toEqual(files.map(({ name }) => name))
  const pdf = await ask(`/employees/10/files/${files[0]?.id}/content`)
  expect(pdf.headers.get('content-type')).toBe('application/pdf')
  const text = await pdf.text()
  // A viewer finds the objects where the table says they are.
  const table = Number(/startxref\n(\d+)/.exec(text)?.[1])
  expect(text.slice(table, table + 4)).toBe('xref')
  for (const [n, [, offset]] of [...text.matchAll(/(\d{10}) 00000 n/g)].entries())
    expect(text.slice(Number(offset)).startsWith(`${n + 1} 0 obj`)).toBe(true)
  expect(await rows('/employees/10/files')).toEqual(files)
})

it('has no files of whom it does not know, nor of others', async () => {
  const [file] = await rows('/employees/10/files')
  expect((await ask('/employees/999/files')).status).toBe(404)
  expect((await ask(`/employees/11/files/${file?.id}/content`)).status).toBe(404)
  world.anonymizeCandidate(ID, '10')
  expect(await rows('/employees/10/files')).toEqual([])
})

it('shows files to clients with the scope for files only', async () => {
  simulator.setScopes(['employee'])
  expect((await ask('/employees/10')).status).toBe(200)
  expect((await ask('/employees/10/files')).status).toBe(403)
})
