import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')

/** Lower may not import higher; packages of one layer never import each other. Folders under these are packages. */
const LAYERS: readonly (readonly string[])[] = [
  ['packages/base'],
  ['packages/model'],
  ['packages/codec'],
  ['packages/diff', 'packages/projection'],
  ['packages/log', 'packages/registry', 'packages/store', 'packages/connector', 'packages/telemetry'],
  [
    'packages/log-embedded',
    'packages/log-kafka',
    'packages/store-embedded',
    'packages/store-postgres',
    'packages/connectors/*',
    'packages/sandbox',
    'packages/verify',
    'packages/transfer',
  ],
  ['services/*'],
  ['packages/cli'],
]

/** Services speak to ports; only the composition root (the CLI) names an adapter. */
const ADAPTER_LAYER = 5
const SERVICE_LAYER = 6

/** No clock, no randomness, no I/O, nothing asynchronous. Hashing is a pure function, so model may use it. */
const PURE = ['packages/model', 'packages/diff', 'packages/projection']
const PURE_BUILTINS: Readonly<Record<string, readonly string[]>> = { 'packages/model': ['node:crypto'] }

interface Import {
  readonly file: string
  readonly specifier: string
}

const packageDirs = globSync(
  ['packages/*/package.json', 'packages/connectors/*/package.json', 'services/*/package.json'],
  { cwd: ROOT },
).map(dirname)
const manifests = new Map(
  packageDirs.map((dir) => [
    dir,
    JSON.parse(readFileSync(join(ROOT, dir, 'package.json'), 'utf8')) as {
      name: string
      dependencies?: Record<string, string>
      exports?: Record<string, string>
    },
  ]),
)
const dirOfName = new Map([...manifests].map(([dir, { name }]) => [name, dir]))

const isTest = (file: string): boolean =>
  /\.test\.ts$|\/contract\.ts$|\/(test|testing|fixtures)\/|\/testing\.ts$|\/bench\.ts$|\/naive\.ts$/.test(file)
const sourcesOf = (dir: string): string[] =>
  globSync(`${dir}/**/*.ts`, { cwd: ROOT }).filter((f) => !f.includes('node_modules') && packageOf(f) === dir)

function packageOf(file: string): string | undefined {
  return packageDirs.filter((dir) => file.startsWith(`${dir}/`)).sort((a, b) => b.length - a.length)[0]
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
  const found = [
    ...text.matchAll(
      /^\s*(?:import|export)\b[^'"]*?from\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm,
    ),
  ]
  return found.map((m) => ({ file, specifier: (m[1] ?? m[2] ?? m[3]) as string }))
}

function layerOf(dir: string): number {
  return LAYERS.findIndex((patterns) =>
    patterns.some((p) => (p.endsWith('/*') ? dirname(dir) === p.slice(0, -2) : p === dir)),
  )
}

const nameOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

describe('imports', () => {
  it('find files to check', () => {
    expect(packageDirs.length).toBeGreaterThan(15)
    expect(packageDirs.flatMap(sourcesOf).length).toBeGreaterThan(80)
  })

  it.each(packageDirs.filter((dir) => dir !== 'packages/testing'))('of %s go downwards only', (dir) => {
    const layer = layerOf(dir)
    expect(layer, `${dir} is in no layer of test/architecture/imports.test.ts; add it`).toBeGreaterThanOrEqual(0)
    const wrong = sourcesOf(dir)
      .filter((file) => !isTest(file))
      .flatMap(importsOf)
      .flatMap(({ file, specifier }) => {
        const target = dirOfName.get(nameOf(specifier))
        if (target === undefined || target === dir) return []
        if (target === 'packages/testing' || specifier.endsWith('/contract'))
          return [`${file} imports ${specifier}, which is for tests`]
        const to = layerOf(target)
        if (to >= layer)
          return [
            `${file} imports ${specifier}: ${dir} may only import what lies below it; move the code down, or hand it in`,
          ]
        if (layer === SERVICE_LAYER && to === ADAPTER_LAYER && target !== 'packages/verify')
          return [`${file} imports the adapter ${specifier}: take the port, and let the CLI hand the adapter in`]
        return []
      })
    expect(wrong).toEqual([])
  })

  it.each(packageDirs)('of %s are declared in its package.json', (dir) => {
    const declared = new Set(Object.keys(manifests.get(dir)?.dependencies ?? {}))
    const wrong = sourcesOf(dir)
      .filter((file) => !isTest(file))
      .flatMap(importsOf)
      .filter(({ specifier }) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
      .filter(({ specifier }) => nameOf(specifier) !== manifests.get(dir)?.name && !declared.has(nameOf(specifier)))
      .map(({ file, specifier }) => `${file} imports ${specifier}; add it to ${dir}/package.json`)
    expect(wrong).toEqual([])
  })

  it('never reach into another package by path', () => {
    const wrong = packageDirs

      .flatMap(sourcesOf)
      .filter((file) => !isTest(file))
      .flatMap(importsOf)
      .filter(
        ({ file, specifier }) =>
          specifier.startsWith('.') &&
          packageOf(relative(ROOT, join(ROOT, dirname(file), specifier))) !== packageOf(file),
      )
    expect(wrong.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([])
  })

  it.each(PURE)('%s is pure: no I/O, clock, randomness or async', (dir) => {
    const allowed = PURE_BUILTINS[dir] ?? []
    const wrong = sourcesOf(dir)
      .filter((file) => !isTest(file) && !file.includes('/generated/'))
      .flatMap((file) => {
        const text = readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
        const builtins = importsOf(file).filter(
          ({ specifier }) => specifier.startsWith('node:') && !allowed.includes(specifier),
        )
        const impure = [
          ...text.matchAll(
            /\b(async|await|Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout|setInterval|process\.|fetch\()/g,
          ),
        ]
        return [
          ...builtins.map(({ specifier }) => `${file} imports ${specifier}`),
          ...impure.map((m) => `${file} uses ${m[0]}`),
        ]
      })
    expect(wrong).toEqual([])
  })

  it('of the Kafka client, PostgreSQL, LMDB and PGlite stay in their adapters', () => {
    const HOME: Readonly<Record<string, readonly string[]>> = {
      kafkajs: ['packages/log-kafka'],
      '@kafkajs/confluent-schema-registry': ['packages/log-kafka'],
      pg: ['packages/store-postgres'],
      // On Kafka the state of a task is a local cache, in LMDB too.
      lmdb: ['packages/log-embedded', 'packages/log-kafka'],
      '@electric-sql/pglite': ['packages/store-embedded'],
    }
    const wrong = packageDirs.flatMap((dir) =>
      sourcesOf(dir)
        .filter((f) => !isTest(f))
        .flatMap(importsOf)
        .filter(({ specifier }) => HOME[nameOf(specifier)]?.includes(dir) === false),
    )
    expect(wrong.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([])
  })

  it('every package has a README', () => {
    expect(packageDirs.filter((dir) => !existsSync(join(ROOT, dir, 'README.md')))).toEqual([])
  })
})
