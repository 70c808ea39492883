import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { changesTopic } from '@tidemark/model'
import { observationBuilder } from '@tidemark/testing/observations'
import kafkajs, { type Admin } from 'kafkajs'
import { expect, it } from 'vitest'
import { PARTITIONS, type Pipeline, readTopic, waitForRecords } from './pipeline.ts'
import { DOCS, type Program, ROOT, run, runNode, type Settings } from './programs.ts'
import { story } from './story.ts'

const page = readFileSync(join(DOCS, 'README.md'), 'utf8')

/** Classes and jars of the Java program, built with Maven in a folder of its own. */
export interface JavaProgram {
  readonly folder: string
  readonly failed: string | undefined
}

export async function buildJava(): Promise<JavaProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-java-'))
  cpSync(join(DOCS, 'java'), folder, { recursive: true, filter: (path) => !path.endsWith('target') })
  const maven = run('mvn', ['-B', '-q', 'package'], {}, folder)
  const code = await maven.ended.catch((error: unknown) => String(error))
  return { folder, failed: code === 0 ? undefined : `mvn package: ${code}\n${maven.stdout()}${maven.stderr()}` }
}

export const removeJava = ({ folder }: JavaProgram): void => rmSync(folder, { recursive: true, force: true })

type Runner = (models: readonly string[], settings: Settings) => Program

function runJava({ folder }: JavaProgram, models: readonly string[], settings: Settings): Program {
  return run('java', ['-cp', 'target/classes:target/lib/*', 'ats.Changes', ...models], settings, folder)
}

export interface Place {
  readonly pipeline: Pipeline
  readonly settings: Settings
  readonly java: JavaProgram
}

/** What the programs are to print for a topic, by tidemark's own codec. */
async function truth({ log, codec }: Pipeline, model: 'candidates' | 'job-stages' | 'roles') {
  const records = await readTopic(log, changesTopic(model))
  return records.map(({ partition, offset, key, value }) => ({
    topic: changesTopic(model),
    partition,
    offset,
    key: String(key),
    change: JSON.parse(JSON.stringify(codec.decodeChange(model, value as Buffer))) as Record<string, unknown>,
  }))
}

const byPosition = (a: Record<string, unknown>, b: Record<string, unknown>): number =>
  String(a['topic']).localeCompare(String(b['topic'])) ||
  Number(a['partition']) - Number(b['partition']) ||
  Number(a['offset']) - Number(b['offset'])

export function programCases(place: () => Place): void {
  const runners: readonly [string, Runner][] = [
    ['TypeScript', (models, settings) => runNode('typescript/changes.ts', models, settings)],
    ['Java', (models, settings) => runJava(place().java, models, settings)],
  ]

  it('Maven builds the Java program', () => {
    expect(place().java.failed).toBeUndefined()
  })

  it.each(runners)('%s prints every change decoded, and after a restart only what is new', async (name, runner) => {
    const { pipeline, settings } = place()
    await waitForStory(pipeline)
    const group = { ...settings, GROUP_ID: `print-${name}` }
    const expected = [...(await truth(pipeline, 'candidates')), ...(await truth(pipeline, 'job-stages'))]
    const first = runner(['candidates', 'job-stages'], group)
    const printed = await first.printed(expected.length)
    expect(printed.sort(byPosition)).toEqual(expected.sort(byPosition))
    // Long enough for the commit that follows the printing; ending it is graceful in any case.
    await first.kill('SIGTERM')

    const { observe } = observationBuilder(pipeline.codec, PARTITIONS)
    const atMs = Date.UTC(2026, 3, 1)
    await pipeline.log.append([
      observe({ model: 'candidates', remote: [`new-${name}`], atMs, record: { title: name } }),
    ])
    const second = runner(['candidates', 'job-stages'], group)
    const [line] = await second.printed(1)
    expect(line).toMatchObject({
      key: `test:1/candidates/new-${name}`,
      change: { op: 'created', after: { title: name } },
    })
    expect(second.lines()).toHaveLength(1)
    await second.kill('SIGTERM')
  })

  it.each(runners)('%s stops when its position is no longer in the log, and keeps it', async (name, runner) => {
    const { pipeline, settings } = place()
    const { observe } = observationBuilder(pipeline.codec, PARTITIONS)
    const integrationId = `lost:${name}`
    const rename = async (from: number, to: number): Promise<number> => {
      const before = (await readTopic(pipeline.log, changesTopic('roles'))).length
      const records = Array.from({ length: to - from }, (_, i) =>
        observe({
          integrationId,
          model: 'roles',
          remote: ['r'],
          atMs: (from + i) * 1000,
          record: { remote_label: `role ${from + i}` },
        }),
      )
      await pipeline.log.append(records)
      await waitForRecords(pipeline.log, changesTopic('roles'), before + records.length)
      return (records[0] as { partition: number }).partition
    }
    const group = { ...settings, GROUP_ID: `lost-${name}` }
    const partition = await rename(1, 5)
    const first = runner(['roles'], group)
    await first.printed((await readTopic(pipeline.log, changesTopic('roles'))).length)
    await first.kill('SIGTERM')

    await withAdmin(settings, async (admin) => {
      const committed = () => admin.fetchOffsets({ groupId: group.GROUP_ID, topics: [changesTopic('roles')] })
      const before = await committed()
      await rename(5, 9)
      const { end } = await pipeline.log.bounds(changesTopic('roles'), partition)
      await admin.deleteTopicRecords({
        topic: changesTopic('roles'),
        partitions: [{ partition, offset: String(end - 1) }],
      })
      const second = runner(['roles'], group)
      expect(await second.ended).toBe(1)
      expect(second.stdout()).toBe('')
      expect(second.stderr()).toMatch(/out of range/i)
      expect(await committed()).toEqual(before)
    })
  })

  const kcat = spawnSync('kcat', ['-V']).status === 0
  if (!kcat)
    process.stderr.write('\n  SKIPPED, kcat is not installed (apt-get install kcat): the first look is not tested.\n\n')

  it.skipIf(!kcat)('kcat shows topics, keys, positions and, through the decoder, changes', async () => {
    const { pipeline, settings } = place()
    await waitForStory(pipeline)
    const commands = [...(page.split('\n## First look')[1] ?? '').split('\n## ')[0]!.matchAll(/```sh\n([\s\S]*?)```/g)]
    expect(commands).toHaveLength(2)
    const [look, decode] = commands.map((match) => run('bash', ['-ec', `set -o pipefail\n${match[1]}`], settings, ROOT))
    expect(await look!.ended, look!.stderr()).toBe(0)
    expect(look!.stdout()).toContain('topic "ats.candidates.changes"')
    expect(look!.stdout()).toMatch(
      /partition \d offset 0 time 1772442000000 key traffit:8d1hp\/candidates\/4711, \d+ bytes/,
    )
    expect(await decode!.ended, decode!.stderr()).toBe(0)
    const expected = (await truth(pipeline, 'candidates')).map(({ change }) => change)
    const key = (change: Record<string, unknown>): string => String(change['event_id'])
    const sorted = (changes: Record<string, unknown>[]) => changes.sort((a, b) => key(a).localeCompare(key(b)))
    expect(sorted(decode!.lines())).toEqual(sorted(expected))
  })

  it('the page shows a change as it is', async () => {
    const { pipeline } = place()
    await waitForStory(pipeline)
    const example = JSON.parse(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? '') as { event_id: string }
    const found = (await truth(pipeline, 'candidates')).find(({ change }) => change['event_id'] === example.event_id)
    expect(example).toEqual(found?.change)
  })
}

/** The story is appended by the test file, before any case, so that its positions are those on the page. */
async function waitForStory({ log, codec }: Pipeline): Promise<void> {
  const events = story(codec).length
  await waitForRecords(log, changesTopic('candidates'), 3)
  await waitForRecords(log, changesTopic('job-stages'), events - 4)
}

async function withAdmin(settings: Settings, work: (admin: Admin) => Promise<void>): Promise<void> {
  const brokers = (settings['KAFKA_BROKERS'] as string).split(',')
  const admin = new kafkajs.Kafka({ clientId: 'test', brokers, logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    await work(admin)
  } finally {
    await admin.disconnect()
  }
}
