import { afterAll, beforeAll, describe, it } from 'vitest'
import { findKafka } from '../harness/kafka.ts'
import { bootstrapCases } from './bootstrapCases.ts'
import { startPipeline } from './pipeline.ts'
import { buildJava, type Place, programCases, removeJava } from './programCases.ts'
import { story } from './story.ts'

/** Topic names are fixed, so this needs a cluster of its own. */
const { kafka, skipped } = await findKafka({ own: true, registry: true })

describe('Subscribe to ats.*', () => {
  if (!kafka?.registryUrl) {
    it.skip(`programs of the page (skipped: ${skipped})`, () => undefined)
    return
  }
  const { brokers, registryUrl } = kafka
  let place: Place

  beforeAll(async () => {
    const building = buildJava()
    const pipeline = await startPipeline({ brokers, registryUrl, outputsMax: 8 })
    await pipeline.log.append(story(pipeline.codec))
    const settings = { KAFKA_BROKERS: brokers.join(','), REGISTRY_URL: registryUrl, NODE_NO_WARNINGS: '1' }
    place = { pipeline, settings, java: await building }
  }, 300_000)

  afterAll(async () => {
    await place.pipeline.stop()
    removeJava(place.java)
    await kafka.stop()
  }, 60_000)

  describe('programs', () => programCases(() => place))
  describe('bootstrap', () => bootstrapCases(() => place))
}, 120_000)
