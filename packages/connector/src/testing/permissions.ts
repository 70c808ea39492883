/** What an account may not read: named, in nobody's way, and never taken for gone. For tests only. */
import { PARENT_MODEL } from '@tidemark/model'
import { expect, it } from 'vitest'
import type { Mapped, Page, Source } from '../connector.ts'
import { lacks, type Rig } from './rig.ts'

export function permissionCases(rig: Rig): void {
  it('says of a listing that may not be read which permission is missing, as a failure or as not offered', async () => {
    const { forbiddable } = rig.standIn
    rig.standIn.forbid(Object.keys(forbiddable))
    expect(Object.keys(forbiddable)).not.toEqual([])
    for (const [stream, words] of Object.entries(forbiddable)) {
      const { all: pages, error } = await rig.fetch({ stream })
      if (error === undefined) {
        expect(pages.map(({ notOffered }) => notOffered)).toEqual([expect.stringContaining(words)])
        expect(pages[0]?.mapped).toEqual({ records: [], childLists: [], failures: [] })
      } else {
        expect(pages).toEqual([])
        expect(error).toMatchObject({ code: 'PROVIDER_REFUSED', message: expect.stringContaining(words) as string })
      }
    }
  })

  it('goes on with all other listings, and takes nothing for gone that it may not see', async () => {
    const { source, standIn } = rig
    for (const forbidden of Object.keys(standIn.forbiddable))
      for (const stream of source.streams.filter((one) => one !== forbidden)) {
        standIn.forbid([])
        const before = await rig.fetch({ stream })
        standIn.forbid([forbidden])
        const { all: pages, error } = await rig.fetch({ stream })
        expect(error).toBeUndefined()
        expect(pages.length).toBeGreaterThan(0)
        expect(pages.some(({ notOffered }) => notOffered !== null)).toBe(rig.kind === 'push')
        expect(lostOf(source, stream, before.all, pages)).toEqual([])
      }
  })

  it.skipIf(rig.kind === 'push')('tells model by model what may not be read', async () => {
    const { source, standIn } = rig
    standIn.forbid([])
    const allowed = await rig.check()
    expect(allowed.error).toBeUndefined()
    expect(allowed.all.length).toBeGreaterThan(0)
    for (const check of allowed.all) expect(check).toMatchObject({ ok: true, message: null })
    standIn.forbid(Object.keys(standIn.forbiddable))
    const { all: checks } = await rig.check()
    for (const [stream, words] of Object.entries(standIn.forbiddable))
      for (const model of source.modelsOf(stream))
        expect(checks.find((check) => check.model === model)).toMatchObject({
          ...{ model, ok: false, message: expect.stringContaining(words) as string },
        })
    expect(checks.find(({ model }) => model === standIn.referring.model)).toMatchObject({ ok: true })
  })

  it('tells of every model of the source whether it may be read', async () => {
    const { source, standIn } = rig
    standIn.forbid([])
    const { all: checks, error } = await rig.check()
    expect(error).toBeUndefined()
    const models = new Set(source.streams.flatMap((stream) => source.modelsOf(stream)))
    expect(new Set(checks.map(({ model }) => model))).toEqual(models)
    for (const check of checks) expect(check).toMatchObject({ ok: true, missing: null, message: null })
  })

  it('delivers a record that names others which may not be read, with their ids', async () => {
    const { forbiddable, referring } = rig.standIn
    rig.standIn.forbid(Object.keys(forbiddable))
    const records = await rig.records(rig.standIn, referring.stream)
    const found = records.filter(({ model }) => model === referring.model)
    expect(found.map(({ kind, record }) => ({ kind, record }))).toContainEqual({
      kind: 'record',
      record: expect.objectContaining(referring.names) as object,
    })
  })

  it('tells a record that may not be read from one that does not exist, and waits for neither', async ({ skip }) => {
    skip(rig.standIn.pointRead === null, 'there are no point reads')
    const { pointRead } = rig.standIn
    rig.standIn.script(['record'])
    const there = await rig.read()
    expect(there.all.flatMap(({ mapped }) => mapped.records)).toContainEqual(expect.objectContaining(pointRead ?? {}))
    expect(there.all.flatMap(({ absent }) => absent)).toEqual([])
    rig.standIn.script(['absent'])
    const gone = await rig.read()
    expect(gone.all.flatMap(({ mapped }) => mapped.records)).toEqual([])
    expect(gone.all.flatMap(({ absent }) => absent)).toMatchObject([{ remoteKey: pointRead?.remoteKey }])
    if (lacks(rig, 'not_offered')) return
    rig.standIn.script(['not_offered'])
    const hidden = await rig.read()
    expect(hidden.error).toBeUndefined()
    expect(hidden.all).toMatchObject([{ absent: [], mapped: { records: [] }, notOffered: expect.any(String) }])
    expect(rig.standIn.requests()).toBe(1)
  })
}

/** What was shown before, is not shown now, and would be taken for gone: by a complete run, or by its parent's list. */
function lostOf(source: Source, stream: string, before: readonly Page[], now: readonly Page[]): string[] {
  const mapped = now.map((page) => page.mapped)
  const spared = new Set(mapped.flatMap(({ incompleteModels = [] }) => incompleteModels))
  const swept = (source.sweptModelsOf ?? source.modelsOf)(stream)
  const children = new Map(mapped.flatMap(({ childLists }) => childLists).map((list) => [listKey(list), list.children]))
  const shown = new Set(mapped.flatMap(({ records }) => records.map(({ model, remoteKey }) => `${model}/${remoteKey}`)))
  const lists = before.flatMap((page) => page.mapped.childLists)
  return [
    ...before
      .flatMap((page) => page.mapped.records)
      .filter(({ model }) => swept.includes(model) && PARENT_MODEL[model] === undefined && !spared.has(model))
      .map(({ model, remoteKey }) => `${model}/${remoteKey}`)
      .filter((key) => !shown.has(key)),
    ...lists.flatMap((list) => {
      const kept = children.get(listKey(list)) ?? list.children
      return list.children.filter((child) => !kept.includes(child)).map((child) => `${list.model}/${child}`)
    }),
  ]
}

const listKey = ({ parentRemoteKey, model }: Mapped['childLists'][number]): string => `${model} of ${parentRemoteKey}`
