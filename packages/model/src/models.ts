import { MODEL_NAMES, type ModelName } from './generated/types.ts'

/** The parent of each child model: children live in their parent's partition, and their keys begin with its remote key. */
export const PARENT_MODEL: Readonly<Partial<Record<ModelName, ModelName>>> = {
  'job-postings': 'jobs',
  'job-stages': 'jobs',
  'job-hiring-team': 'jobs',
  'job-screening-questions': 'jobs',
  'job-role-assignments': 'jobs',
  'candidate-tags': 'candidates',
  'interview-users': 'interviews',
  'user-roles': 'users',
}

/** True for any of the 20 model names. */
export function isModelName(name: string): name is ModelName {
  return (MODEL_NAMES as readonly string[]).includes(name)
}

/** Child models of a model, in a fixed order. */
export function childModels(parent: ModelName): ModelName[] {
  return MODEL_NAMES.filter((model) => PARENT_MODEL[model] === parent)
}
