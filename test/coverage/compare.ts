import { MODEL_SCHEMAS, type ModelName } from '@tidemark/model'
import { type Coverage, isCovered } from './coverage.ts'
import { ADDITIONS, type ComparedName, EXCEPTIONS, EXPECTED, NOT_COMPARED } from './expected.ts'

/** Covered fields as `<model>.<field>`, without those that every model has. */
function coveredFields(coverage: Coverage): ReadonlySet<string> {
  const names = [...coverage].flatMap(([model, fields]) =>
    [...fields].flatMap(([field, sight]) =>
      isCovered(sight) && !NOT_COMPARED.has(field) ? [`${model}.${field}`] : [],
    ),
  )
  return new Set(names)
}

function expectedFields(name: ComparedName): ReadonlySet<string> {
  return new Set(
    Object.entries(EXPECTED[name]).flatMap(([model, fields]) => fields.map((field) => `${model}.${field}`)),
  )
}

const isOfModel = (path: string): boolean => {
  const [model = '', field] = path.split('.')
  return MODEL_SCHEMAS[model as ModelName]?.fields.some(({ name }) => name === field) ?? false
}

/** A sentence for each difference between what a connector covers and what is expected of it that is not named, and each that is named and is none. */
export function differences(name: ComparedName, coverage: Coverage): string[] {
  const covered = coveredFields(coverage)
  const expected = expectedFields(name)
  const excepted = new Set(Object.keys(EXCEPTIONS[name]))
  const added = new Set(Object.keys(ADDITIONS[name]))
  const tell = (paths: ReadonlySet<string>, isWrong: (path: string) => boolean, problem: string): string[] =>
    [...paths].filter(isWrong).map((path) => `${name}: ${path} ${problem}`)
  return [
    ...tell(expected, (path) => !isOfModel(path), 'is expected, but the model has no such field'),
    ...tell(expected, (path) => !covered.has(path) && !excepted.has(path), 'is expected, not covered and no exception'),
    ...tell(covered, (path) => !expected.has(path) && !added.has(path), 'is covered, not expected and no addition'),
    ...tell(excepted, (path) => covered.has(path) || !expected.has(path), 'is an exception without need'),
    ...tell(added, (path) => !covered.has(path) || expected.has(path), 'is an addition without need'),
  ]
}
