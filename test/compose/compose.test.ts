import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../packages/cli/src/config.ts'
import { runCli } from '../../packages/cli/src/program.ts'
import { SERVICES } from '../../packages/cli/src/runtime/services.ts'
import { KAFKA_IMAGE, REGISTRY_IMAGE } from '../harness/containers.ts'

const ROOT = join(import.meta.dirname, '../..')
const CONFIG = join(ROOT, 'infra/compose/tidemark.yaml')
const PROGRAM = 'docker-compose'

interface Service {
  readonly image: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly healthcheck?: object
}

const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')
const compose = parse(text, { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: object
}
const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
const own = (name: string): Service => compose.services[name] ?? { image: 'missing' }

const hasProgram = spawnSync(PROGRAM, ['version'], { stdio: 'ignore' }).status === 0
if (!hasProgram)
  process.stderr.write(`\n  SKIPPED: ${PROGRAM} is not installed, so its own check of docker-compose.yml\n\n`)

it.skipIf(!hasProgram)(
  `docker-compose.yml is accepted by ${PROGRAM}${hasProgram ? '' : ' (skipped: not installed)'}`,
  () => {
    const { status, stderr } = spawnSync(PROGRAM, ['config', '--quiet'], { cwd: ROOT, encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])
  },
)

it('runs every service once, of one image, with options that the command line knows', async () => {
  for (const name of SERVICES) {
    const { image, command = [] } = own(name)
    expect([name, image, command[command.indexOf('--service') + 1]]).toEqual([name, 'tidemark:local', name])
    let printed = ''
    const write = (text: string): boolean => {
      printed += text
      return true
    }
    // The configuration is not there, which is told only after the options were understood.
    const code = await runCli(['node', 'tidemark', ...command], { stdout: { write }, stderr: { write }, env: {} })
    expect([name, code, printed]).toEqual([
      name,
      1,
      expect.stringContaining('/etc/tidemark/tidemark.yaml cannot be read'),
    ])
  }
})

it('gives the services a configuration that is valid with the variables of the containers, and leads to the containers', () => {
  for (const name of SERVICES) {
    const { environment = {}, volumes = [] } = own(name)
    expect(volumes).toContain('./infra/compose/tidemark.yaml:/etc/tidemark/tidemark.yaml:ro')
    const env = Object.fromEntries(Object.keys(environment).map((key) => [key, 'secret']))
    const config = loadConfig({ flags: { config: CONFIG }, env })
    expect(config).toMatchObject({ mode: 'kafka', host: '0.0.0.0', port: 8080, kafka: { brokers: ['kafka:9092'] } })
    expect(new URL(config.kafka?.registry ?? '').host).toBe('registry:8080')
    expect(new URL(config.postgres ?? '')).toMatchObject({ host: 'postgres:5432', password: 'secret' })
  }
})

it('pins every image, and uses the broker and the registry that the tests use', () => {
  const images = Object.values(compose.services).map(({ image }) => image)
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base ?? '')
  for (const image of [...images, ...bases])
    expect(image).toMatch(/^(tidemark:local|[a-z/-]+:\d+\.\d+(\.\d+)?(-[a-z-]+)?)$/)
  expect([own('kafka').image, own('registry').image]).toEqual([KAFKA_IMAGE, REGISTRY_IMAGE])
})

it('loses nothing on a restart: broker, database and spool on volumes, the registry in the database', () => {
  const targets = (name: string): string[] =>
    (own(name).volumes ?? []).map((volume) => volume.split(':').slice(0, 2).join(':'))
  const named = Object.keys(compose.volumes)
  for (const [name, volume, path] of [
    ['kafka', 'kafka', own('kafka').environment?.['KAFKA_LOG_DIRS']],
    ['postgres', 'postgres', '/var/lib/postgresql/data'],
    ['ingress', 'ingress', '/data'],
  ] as const) {
    expect(targets(name)).toContain(`${volume}:${path}`)
    expect(named).toContain(volume)
  }
  const { APICURIO_STORAGE_KIND: kind, APICURIO_STORAGE_SQL_KIND: sql } = own('registry').environment ?? {}
  expect([kind, sql]).toEqual(['sql', 'postgresql'])
})

it('publishes nothing beyond this machine, and mounts only files that exist', () => {
  for (const { ports = [], volumes = [] } of Object.values(compose.services)) {
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
    for (const volume of volumes.filter((one) => one.startsWith('./'))) {
      expect([volume, existsSync(join(ROOT, volume.split(':')[0] ?? ''))]).toEqual([volume, true])
    }
  }
})

it('asks every container how it is, and runs tidemark as an ordinary user', () => {
  expect(dockerfile).toMatch(/^HEALTHCHECK .*\n.*\/readyz/m)
  expect(dockerfile).toMatch(/^USER (?!root)\S+$/m)
  for (const name of ['kafka', 'registry', 'postgres'])
    expect([name, own(name).healthcheck]).not.toEqual([name, undefined])
})
