import type { Change } from '@tidemark/codec'
import type { FieldChange, ModelName } from '@tidemark/model'
import { pointerTokens } from '@tidemark/projection'
import type { NameRef, Names } from './names.ts'

/** A change for people. */
export interface Displayed {
  /** "Frodo Baggins / Backend Engineer". */
  readonly title: string
  /** Changed fields with names in place of ids; none for a first sight. */
  readonly lines: readonly { readonly field: string; readonly before: string | null; readonly after: string | null }[]
}

/**
 * Describes changes; names come from the tables (cached), ids stand in for what has none yet, or is of a model that the reader may not
 * see.
 */
export type Display = (
  changes: readonly { readonly model: ModelName; readonly change: Change }[],
  allows: (model: ModelName) => boolean,
) => Promise<ReadonlyMap<Change, Displayed>>

type Values = Readonly<Record<string, unknown>>

/** Fields that refer to other records. */
const REFERENCES: Readonly<Record<string, ModelName>> = {
  candidate_id: 'candidates',
  job_id: 'jobs',
  current_stage_id: 'application-stages',
  stage_id: 'application-stages',
  application_id: 'applications',
  interview_id: 'interviews',
  tag_id: 'tags',
  user_id: 'users',
  author_id: 'users',
  contact_id: 'users',
  question_id: 'screening-questions',
  precondition_question_id: 'screening-questions',
  role_remote_id: 'roles',
}

/** Fields that make a title, in order. Names are texts or references. */
const TITLES: Readonly<Record<ModelName, readonly string[]>> = {
  jobs: ['name'],
  'job-postings': ['job_id', 'title'],
  candidates: [],
  applications: ['candidate_id', 'job_id'],
  'application-stages': ['name'],
  interviews: ['title', 'application_id'],
  offers: ['application_id'],
  'rejection-reasons': ['name'],
  tags: ['name'],
  users: [],
  roles: ['remote_label'],
  'screening-questions': ['title'],
  notes: ['candidate_id', 'title'],
  'candidate-tags': ['candidate_id', 'tag_id'],
  'job-stages': ['job_id', 'stage_id'],
  'job-hiring-team': ['job_id', 'user_id'],
  'job-screening-questions': ['job_id', 'question_id'],
  'interview-users': ['interview_id', 'user_id'],
  'user-roles': ['user_id', 'role_remote_id'],
  'job-role-assignments': ['job_id', 'user_id', 'role_remote_id'],
}

const VALUE_CHARS = 200
const LINES_MAX = 20

export function createDisplay(names: Names): Display {
  return async (changes, allows) => {
    for (const { model, change } of changes) learnName(names, model, change)
    await names.load(changes.flatMap(({ model, change }) => referencesOf(model, change)).filter((r) => allows(r.model)))
    const visible: Pick<Names, 'get'> = { get: (ref) => (allows(ref.model) ? names.get(ref) : undefined) }
    return new Map(changes.map(({ model, change }) => [change, describe(visible, model, change)]))
  }
}

/** What is left of the record: its state after the change, or before it when nothing is. */
const stateOf = (change: Change): Values => (change.after ?? change.before ?? {}) as unknown as Values

/** The name a record gives itself. */
function ownName(model: ModelName, state: Values): string | undefined {
  if (model === 'candidates' || model === 'users') {
    const full = [state['first_name'], state['last_name']].filter((part) => typeof part === 'string' && part !== '')
    return full.length > 0 ? full.join(' ') : undefined
  }
  const field = TITLES[model].find((name) => !(name in REFERENCES))
  const value = field === undefined ? undefined : state[field]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function learnName(names: Names, model: ModelName, change: Change): void {
  const name = ownName(model, stateOf(change))
  if (name === undefined) return
  names.learn({ integrationId: change.integration_id, model, by: 'id', value: change.id }, name)
  if (model === 'roles' && change.remote_id !== null) {
    names.learn({ integrationId: change.integration_id, model, by: 'remote_id', value: change.remote_id }, name)
  }
}

function reference(change: Change, field: string, value: unknown): NameRef | undefined {
  const model = REFERENCES[field]
  if (model === undefined || typeof value !== 'string') return undefined
  return { integrationId: change.integration_id, model, by: field === 'role_remote_id' ? 'remote_id' : 'id', value }
}

function referencesOf(model: ModelName, change: Change): NameRef[] {
  const state = stateOf(change)
  const titles = TITLES[model].map((field) => reference(change, field, state[field]))
  const lines = change.changes.flatMap((line) => {
    const field = pointerTokens(line.path)[0] ?? ''
    return [reference(change, field, parse(line.before)), reference(change, field, parse(line.after))]
  })
  return [...titles, ...lines].filter((ref) => ref !== undefined)
}

function describe(names: Pick<Names, 'get'>, model: ModelName, change: Change): Displayed {
  const state = stateOf(change)
  const parts = TITLES[model].flatMap((field) => {
    const ref = reference(change, field, state[field])
    if (ref) return names.get(ref) ?? ref.value
    const text = state[field]
    return typeof text === 'string' && text !== '' && !(field in REFERENCES) ? text : []
  })
  const title = ownName(model, state) !== undefined && parts.length === 0 ? [ownName(model, state)] : parts
  const shown = title.length > 0 ? title.join(' / ') : (change.remote_id ?? change.id)
  return { title: short(shown), lines: change.changes.slice(0, LINES_MAX).map((line) => lineOf(names, change, line)) }
}

function lineOf(
  names: Pick<Names, 'get'>,
  change: Change,
  { path, before, after }: FieldChange,
): Displayed['lines'][number] {
  const tokens = pointerTokens(path)
  const field = tokens[0] ?? ''
  const label = field in REFERENCES ? field.replace(/(_remote)?_id$/, '') : field
  const show = (text: string | null): string | null => {
    const value = parse(text)
    const ref = tokens.length === 1 ? reference(change, field, value) : undefined
    return ref ? short(names.get(ref) ?? ref.value) : display(value)
  }
  return { field: [label, ...tokens.slice(1)].join('.'), before: show(before), after: show(after) }
}

function parse(text: string | null): unknown {
  if (text === null) return null
  try {
    return JSON.parse(text)
  } catch {
    // Shown as it is: a display must not fail where the change itself could be read.
    return text
  }
}

function display(value: unknown): string | null {
  if (value === null || value === undefined) return null
  return short(typeof value === 'string' ? value : JSON.stringify(value))
}

const short = (text: string): string => (text.length > VALUE_CHARS ? `${text.slice(0, VALUE_CHARS - 1)}…` : text)
