/** Every stream and every point read that the source says it has works. For tests only. */
import type { ModelName } from '@tidemark/model'
import { expect, it } from 'vitest'
import { expectNormal } from './mapping.ts'
import type { Rig } from './rig.ts'

/** Names that are nobody's, some of which every object has. */
const UNKNOWN = ['', 'no such stream', '__proto__', 'constructor', 'toString']

export function streamCases(rig: Rig): void {
  it('reads every stream: records of all its models and of no other, as the models have them', async () => {
    const { source, standIn } = rig
    standIn.forbid([])
    for (const stream of source.streams) {
      const records = await rig.records(standIn, stream)
      for (const record of records) expectNormal(record)
      const models = new Set(records.map(({ model }) => model))
      expect([...models].sort(), `models of ${stream}`).toEqual([...source.modelsOf(stream)].sort())
      const { error } = await rig.fetch({ stream, updatedAfterMs: Date.parse('2020-01-01T00:00:00Z') })
      expect(error, `${stream}, what changed since`).toBeUndefined()
    }
  })

  it('has no other streams', async () => {
    for (const stream of UNKNOWN) {
      expect(rig.source.modelsOf(stream)).toEqual([])
      const { all: pages, error } = await rig.fetch({ stream })
      expect(pages).toEqual([])
      expect(error, `a fetch of the stream ${JSON.stringify(stream)}`).toBeDefined()
    }
    expect(rig.standIn.requests()).toBe(0)
  })

  it('sweeps no models but those of the stream', () => {
    const { source } = rig
    for (const stream of source.streams) {
      const swept = (source.sweptModelsOf ?? source.modelsOf)(stream)
      for (const model of swept) expect(source.modelsOf(stream)).toContain(model)
    }
  })

  it('reads single records of every model that it says it can', async ({ skip }) => {
    const { source, standIn } = rig
    expect(standIn.pointRead === null, 'the stand-in names a point read where there are some').toBe(
      source.pointReads === null,
    )
    skip(source.pointReads === null, 'there are no point reads')
    standIn.forbid([])
    const keys = new Map<ModelName, string>()
    for (const stream of source.streams)
      for (const { model, remoteKey } of await rig.records(standIn, stream)) keys.set(model, remoteKey)
    for (const model of source.pointReads?.models ?? []) {
      const remoteKey = keys.get(model) ?? 'none is listed'
      const { all: answers, error } = await rig.read({ model, remoteKeys: [remoteKey] })
      expect(error, `${model} ${remoteKey}`).toBeUndefined()
      expect(answers.flatMap(({ absent }) => absent)).toEqual([])
      expect(answers.flatMap(({ mapped }) => mapped.records)).toContainEqual(
        expect.objectContaining({ model, remoteKey, kind: 'record' }),
      )
    }
  })

  it('takes the answer of another record for nothing', async ({ skip }) => {
    skip(rig.standIn.pointRead === null, 'there are no point reads')
    rig.standIn.script(['record'])
    const { model } = rig.standIn.pointRead as { readonly model: ModelName }
    const { all: answers } = await rig.read({ model, remoteKeys: ['another'] })
    expect(answers.flatMap(({ absent, mapped }) => [...absent, ...mapped.records])).toEqual([])
  })
}
