/** A tenant that answers HTML: a login page, a maintenance page, a gateway. It says nothing about records. For tests only. */
import { expect, it } from 'vitest'
import type { Rig } from './rig.ts'

/** The failure says what came, so that nobody has to look for it in the log. */
const SAYS_SO = { code: 'PROVIDER_ANSWER_INVALID', message: expect.stringContaining('HTML') as string }

export function htmlCases(rig: Rig): void {
  it('takes HTML for no page, and says that it is HTML', async () => {
    rig.standIn.script(['html'])
    expect(await rig.fetch()).toMatchObject({ all: [], error: SAYS_SO })
    expect(rig.standIn.requests()).toBeLessThan(30)
  })

  it.skipIf(rig.kind === 'push')('takes HTML half way through for no end', async () => {
    rig.standIn.script(['page', 'html'])
    const { all: pages, error } = await rig.fetch()
    expect(pages).toHaveLength(1)
    expect(error).toMatchObject(SAYS_SO)
  })

  it.runIf(rig.hasTokens)('takes HTML for no token, and says that it is HTML', async () => {
    rig.standIn.script(['last_page'])
    rig.standIn.tokens?.script(['html'])
    expect(await rig.fetch()).toMatchObject({ all: [], error: SAYS_SO })
    expect(rig.standIn.requests()).toBe(0)
    expect(rig.standIn.tokens?.requests()).toBeLessThan(30)
  })

  it('takes HTML for no absence of a record, whatever its status', async ({ skip }) => {
    skip(rig.standIn.pointRead === null, 'there are no point reads')
    rig.standIn.script(['html'])
    const read = await rig.read()
    expect(read.error).toMatchObject(SAYS_SO)
    rig.standIn.script(['html_404'])
    const answers = [...read.all, ...(await rig.read()).all]
    expect(answers.flatMap(({ absent, mapped }) => [...absent, ...mapped.records])).toEqual([])
  })

  it('takes HTML for no permission, neither given nor missing', async () => {
    rig.standIn.script(['html'])
    expect(await rig.check()).toMatchObject({ all: [], error: SAYS_SO })
  })
}
