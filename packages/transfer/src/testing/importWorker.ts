/** Imports a file into Kafka, as the command does, to be killed in the middle: node importWorker.ts BROKERS FILE FOLDER. */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import { openEmbedded } from '@tidemark/log-embedded'
import { openKafka } from '@tidemark/log-kafka'
import { importLog } from '../import.ts'
import { NEVER } from './scene.ts'

const [brokers = '', file = '', folder = ''] = process.argv.slice(2)
const embedded = await openEmbedded({ path: join(folder, 'registry'), clock: systemClock })
const stateDir = join(folder, 'state')
const kafka = await openKafka({ brokers: brokers.split(','), clientId: 'import', stateDir, clock: systemClock })
process.stdout.write('opened\n')
const target = { log: kafka.log, registry: embedded.registry, startAt: kafka.startAt }
const report = await importLog(createReadStream(file), target, { signal: NEVER })
process.stdout.write(`${JSON.stringify(report)}\n`)
await kafka.close()
await embedded.close()
