/** The credentials go to the provider's API and nowhere else, and no secret comes back. For tests only. */
import { expect, it } from 'vitest'
import { HOSTILE_PATHS } from './hostilePaths.ts'
import type { PassthroughRig } from './passthroughRig.ts'

/** Headers that say where a request goes, as whom, or how its bytes travel. */
const OWN_HEADERS = [
  'Authorization',
  'authorization',
  'Host',
  'Cookie',
  'Content-Length',
  'Transfer-Encoding',
  'Connection',
]

export function safetyCases(rig: PassthroughRig): void {
  it('sends the own credentials, whatever headers are given', async () => {
    rig.answerWith({ body: {} })
    for (const name of OWN_HEADERS) {
      const { error } = await rig.send({ headers: { [name]: 'other' } })
      expect(error).toMatchObject({ code: 'REQUEST_INVALID', message: expect.stringContaining(name.toLowerCase()) })
    }
    for (const bad of [{ 'a b': 'x' }, { 'x-a': 'line\r\nx-evil: 1' }, { '': 'x' }])
      expect((await rig.send({ headers: bad })).error).toMatchObject({ code: 'REQUEST_INVALID' })
    expect(rig.standIn.seen).toEqual([])
  })

  it('shows no secret, even of an API that repeats everything', async () => {
    rig.standIn.answer = ({ headers }) => ({
      headers: { 'set-cookie': 'id=1', 'x-auth-token': 'fresh', 'x-echo': rig.standIn.secrets.join(' ') },
      body: { echo: headers, secrets: rig.standIn.secrets },
    })
    const { answer } = await rig.send({})
    expect(answer?.headers).not.toHaveProperty('set-cookie')
    expect(answer?.headers).not.toHaveProperty('x-auth-token')
    expect(answer?.data).toHaveProperty('echo')
    for (const secret of rig.standIn.secrets) expect(JSON.stringify(answer)).not.toContain(secret)
  })

  it.each(HOSTILE_PATHS)('refuses the path %j before anything is sent', async (path) => {
    rig.answerWith({ body: {} })
    const { error } = await rig.send({ path })
    expect(error).toMatchObject({ code: 'REQUEST_INVALID', message: expect.stringContaining('path') })
    expect(rig.standIn.seen).toEqual([])
  })

  it('takes a path without slash for one below the API too', async () => {
    rig.answerWith({ body: {} })
    for (const path of ['things', '@evil.example/x', '.evil.example', ':8443/x']) await rig.send({ path })
    const paths = rig.standIn.seen.map((seen) => decodeURIComponent(seen.path))
    expect(paths).toEqual(['/things', '/@evil.example/x', '/.evil.example', '/:8443/x'])
  })

  it('refuses APIs that there are not', async () => {
    rig.answerWith({ body: {} })
    const { error } = await rig.send({}, { api: '../v1' })
    expect(error).toMatchObject({ code: 'REQUEST_INVALID' })
    expect(rig.standIn.seen).toEqual([])
  })
}
