/** Answers that look well, and refusals for good: neither is an end or an absence. For tests only. */
import { expect, it } from 'vitest'
import type { Rig } from './rig.ts'

const INVALID = { code: 'PROVIDER_ANSWER_INVALID' }

/** Both say nothing of records. */
const NO_PAGES = ['no_list', 'null'] as const

export function answerCases(rig: Rig): void {
  const ofListings = it.skipIf(rig.kind === 'push')

  it.each(NO_PAGES)('takes JSON that is no page for no empty page: %s', async (answer) => {
    rig.standIn.script([answer])
    expect(await rig.fetch()).toMatchObject({ all: [], error: INVALID })
    expect(rig.standIn.requests()).toBeLessThan(30)
  })

  ofListings.each(NO_PAGES)('takes JSON that is no page half way through for no end: %s', async (answer) => {
    rig.standIn.script(['page', answer])
    const { all: pages, error } = await rig.fetch()
    expect(pages).toHaveLength(1)
    expect(error).toMatchObject(INVALID)
  })

  it.for(NO_PAGES)('takes JSON that is no record for no absence of it: %s', async (answer, { skip }) => {
    skip(rig.standIn.pointRead === null, 'there are no point reads')
    rig.standIn.script([answer])
    const { all: answers } = await rig.read()
    expect(answers.flatMap(({ absent, mapped }) => [...absent, ...mapped.records])).toEqual([])
  })

  ofListings('gives up a listing whose next page is the same page (PageGuard)', { timeout: 10_000 }, async () => {
    rig.standIn.script(['same_page'])
    const aborter = new AbortController()
    const stop = setInterval(() => rig.standIn.requests() > 200 && aborter.abort(new Error('it goes on for ever')), 5)
    const { error } = await rig.fetch({ signal: aborter.signal }).finally(() => clearInterval(stop))
    expect(error).toMatchObject(INVALID)
    expect(rig.standIn.requests()).toBeLessThan(30)
  })

  it('ends at once when it is refused for good, and repeats no secret that the refusal repeats', async () => {
    rig.standIn.script(['refused'])
    expect(await rig.fetch()).toMatchObject({ all: [], error: { code: 'PROVIDER_REFUSED' } })
    expect(rig.standIn.requests()).toBe(1)
  })

  it('takes a refusal for no absence of a record', async ({ skip }) => {
    skip(rig.standIn.pointRead === null, 'there are no point reads')
    rig.standIn.script(['refused'])
    const { all: answers, error } = await rig.read()
    expect(error).toMatchObject({ code: 'PROVIDER_REFUSED' })
    expect(answers.flatMap(({ absent, mapped }) => [...absent, ...mapped.records])).toEqual([])
  })
}
