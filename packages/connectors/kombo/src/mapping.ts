/**
 * Kombo's records to unified records. Pure and total: whatever a page holds, the answer is records, complete child lists and failures.
 *
 * - A record that has an endpoint of its own is observed only from there; a copy nested in another record gives its reference. So
 *   `jobs[].stages` gives job-stages but no application-stages, and `applications[].candidate` gives nothing beyond `candidate_id`.
 * - Only keys that are present in the JSON are delivered. A nested list that is absent (an older Kombo) or unreadable in part yields
 *   no child list, because an incomplete one would delete what it left out.
 * - Keys: the remote key of an entity is its Kombo id, which is also its public id; a child's is its parent's id and its own.
 */
import type { ChildList, Mapped, MappedRecord, MappingFailure } from '@tidemark/connector'
import { isJson, type Json, mappingFailure } from '@tidemark/connector/mapping'
import { MODEL_SCHEMAS, type ModelName, parseTime, type RecordInput, remoteKey } from '@tidemark/model'

/** Streams of Kombo: its listings below `/ats/`, each with the models it is the origin of, its own first. */
export const STREAM_MODELS = {
  jobs: [
    'jobs',
    'job-postings',
    'job-stages',
    'job-hiring-team',
    'job-role-assignments',
    'screening-questions',
    'job-screening-questions',
  ],
  candidates: ['candidates', 'candidate-tags'],
  applications: ['applications'],
  'application-stages': ['application-stages'],
  interviews: ['interviews', 'interview-users'],
  offers: ['offers'],
  'rejection-reasons': ['rejection-reasons'],
  tags: ['tags'],
  users: ['users', 'user-roles'],
  roles: ['roles'],
  notes: ['notes'],
} as const satisfies Readonly<Record<string, readonly ModelName[]>>

export type KomboStream = keyof typeof STREAM_MODELS

/** True for a stream of Kombo. */
export const isKomboStream = (name: string): name is KomboStream => Object.hasOwn(STREAM_MODELS, name)

/** Collects what one page maps to. */
class Collector implements Mapped {
  readonly records: MappedRecord[] = []
  readonly childLists: ChildList[] = []
  readonly failures: MappingFailure[] = []
  readonly #incomplete = new Set<ModelName>()
  /** Questions already observed on this page: several jobs of a page may ask the same one. */
  readonly questions = new Set<string>()

  get incompleteModels(): readonly ModelName[] {
    return [...this.#incomplete]
  }

  /** Some of these records may exist and not be shown. */
  incomplete(model: ModelName): void {
    this.#incomplete.add(model)
  }

  fail(model: ModelName, key: string | null, problem: string, item: unknown): void {
    this.failures.push(mappingFailure('Kombo', model, key, problem, item))
  }
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null

const isId = (value: unknown): value is string => typeof value === 'string' && value !== ''

/** The fields of a model that the JSON has, by the same name. */
function pick(model: ModelName, json: Json): Record<string, unknown> {
  const record: Record<string, unknown> = {}
  for (const { name } of MODEL_SCHEMAS[model].fields) if (json[name] !== undefined) record[name] = json[name]
  return record
}

/** Maps one page of a stream, record by record; one that cannot be mapped becomes a failure and its neighbours go on. */
export function mapPage(stream: KomboStream, results: readonly unknown[]): Mapped {
  const out = new Collector()
  for (const item of results) {
    try {
      mapOne(stream, item, out)
    } catch (error) {
      // Not foreseen by any rule below (a structure nested without end, say); still only this record's problem.
      out.fail(STREAM_MODELS[stream][0], null, `cannot be mapped: ${(error as Error).message}`, item)
    }
  }
  const { records, childLists, failures, incompleteModels } = out
  return { records, childLists, failures, incompleteModels }
}

/** The row's time of change orders its states; a row with one that is no time is not what Kombo documents. */
const hasReadableVersion = (json: Json): boolean =>
  json['changed_at'] === undefined || json['changed_at'] === null || parseTime(json['changed_at']) !== undefined

function mapOne(stream: KomboStream, item: unknown, out: Collector): void {
  const model = STREAM_MODELS[stream][0]
  if (!isJson(item) || !isId(item['id'])) {
    out.fail(model, null, isJson(item) ? 'has no `id`' : 'expected an object', item)
    return
  }
  const id = item['id']
  if (!hasReadableVersion(item)) {
    out.fail(model, remoteKey(id), '`changed_at` is no time', item)
    return
  }
  out.records.push(entity(model, id, item, FIELD_RULES[stream]?.(item) ?? {}))
  for (const child of CHILD_RULES[stream] ?? []) mapChildren(child, id, item, out)
}

/** A record with a Kombo id; `fields` are those whose shape differs from Kombo's. */
function entity(model: ModelName, id: string, json: Json, fields: RecordInput): MappedRecord {
  const record = { ...pick(model, json), ...fields }
  const deletedAt = json['remote_deleted_at']
  const base = { model, remoteKey: remoteKey(id), remoteVersion: remoteVersion(json), record }
  if (deletedAt === null || deletedAt === undefined) return { ...base, kind: 'record' }
  return {
    ...base,
    kind: isBlank(model, record) ? 'anonymized' : 'record',
    evidence: { kind: 'provider_flag', detail: `remote_deleted_at ${String(deletedAt)}` },
  }
}

/** `changed_at` moves with the record's own properties only, so it orders the states of the record itself. */
function remoteVersion(json: Json): number | null {
  return parseTime(json['changed_at']) ?? null
}

const BOOKKEEPING = new Set(['id', 'remote_id', 'remote_created_at', 'remote_updated_at', 'remote_deleted_at'])

/**
 * Two weeks after a deletion Kombo removes the row or sets its fields to null; its pages disagree. So a deleted row without any
 * content counts as anonymized. References to other records and times are no content.
 */
function isBlank(model: ModelName, record: RecordInput): boolean {
  const names = MODEL_SCHEMAS[model].fields.map((field) => field.name)
  const content = names.filter((name) => !BOOKKEEPING.has(name) && !name.endsWith('_id') && record[name] !== undefined)
  return content.length > 0 && content.every((name) => isEmpty(record[name]))
}

/** null, or an object or list of nothing but nulls; looks as deep as the models' own fields go. */
function isEmpty(value: unknown, depth = 3): boolean {
  if (value === null || value === undefined) return true
  return typeof value === 'object' && depth > 0 && Object.values(value).every((member) => isEmpty(member, depth - 1))
}

/** Fields whose shape differs between Kombo and the model. */
const FIELD_RULES: Readonly<Partial<Record<KomboStream, (json: Json) => RecordInput>>> = {
  applications: (json) => {
    const answers = json['screening_question_answers']
    return Array.isArray(answers) ? { screening_question_answers: answers.map(flatAnswer) } : {}
  },
}

/** `{answer, question: {…}}` flattened. What is no such object is handed on as it is, for the record to be refused with a path. */
function flatAnswer(item: unknown): unknown {
  if (!isJson(item)) return item
  const question = isJson(item['question']) ? item['question'] : {}
  return {
    question_remote_id: question['remote_id'],
    question_title: question['title'],
    question_type: question['type'],
    answer: item['answer'],
  }
}

/** How the entries of a nested list become children of one or more models. */
interface ChildRule {
  readonly list: string
  readonly parentModel: ModelName
  readonly model: ModelName
  /** The children of one entry; null when the entry does not deliver this model; throws a RangeError with the problem. */
  readonly map: (parentId: string, entry: Json, index: number) => readonly Child[] | null
  /** Records of their own that the entry is the only source of. */
  readonly entities?: { readonly model: ModelName; readonly collect: (entry: Json, out: Collector) => void }
}

interface Child {
  readonly key: string
  readonly record: RecordInput
}

function mapChildren(rule: ChildRule, parentId: string, parent: Json, out: Collector): void {
  const entries = parent[rule.list]
  const parentKey = remoteKey(parentId)
  if (!Array.isArray(entries)) {
    // A deleted row may be blank, and its lists with it.
    if (rule.entities && isAbsent(parent['remote_deleted_at'])) out.incomplete(rule.entities.model)
    if (entries === undefined || entries === null) return
    out.fail(rule.model, parentKey, `\`${rule.list}\` is no list`, entries)
    return
  }
  const keys = new Set<string>()
  let complete = true
  for (const [index, entry] of entries.entries()) {
    try {
      if (!isJson(entry)) throw new RangeError(`\`${rule.list}/${index}\` is no object`)
      const children = rule.map(parentId, entry, index)
      if (children === null) complete = false
      rule.entities?.collect(entry, out)
      for (const child of children ?? []) {
        if (keys.has(child.key)) continue
        keys.add(child.key)
        out.records.push({
          model: rule.model,
          remoteKey: child.key,
          kind: 'record',
          remoteVersion: null,
          record: child.record,
        })
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      complete = false
      out.fail(rule.model, parentKey, error.message, entry)
    }
  }
  if (!complete && rule.entities) out.incomplete(rule.entities.model)
  if (complete)
    out.childLists.push({
      parentModel: rule.parentModel,
      parentRemoteKey: parentKey,
      model: rule.model,
      children: [...keys],
    })
}

function idOf(entry: Json, what: string): string {
  if (isId(entry['id'])) return entry['id']
  throw new RangeError(`${what} has no \`id\``)
}

/** Renames keys, leaving out what is absent. */
function rename(entry: Json, names: Readonly<Record<string, string>>): Record<string, unknown> {
  const record: Record<string, unknown> = {}
  for (const [to, from] of Object.entries(names)) if (entry[from] !== undefined) record[to] = entry[from]
  return record
}

const postings: ChildRule = {
  list: 'job_postings',
  parentModel: 'jobs',
  model: 'job-postings',
  map: (jobId, entry) => {
    const id = idOf(entry, 'a job posting')
    return [{ key: remoteKey(jobId, id), record: { ...pick('job-postings', entry), job_id: jobId } }]
  },
}

const jobStages: ChildRule = {
  list: 'stages',
  parentModel: 'jobs',
  model: 'job-stages',
  map: (jobId, entry) => {
    const id = idOf(entry, 'a stage')
    return [
      { key: remoteKey(jobId, id), record: { ...rename(entry, { index: 'index' }), job_id: jobId, stage_id: id } },
    ]
  },
}

const hiringTeam: ChildRule = {
  list: 'hiring_team',
  parentModel: 'jobs',
  model: 'job-hiring-team',
  map: (jobId, entry) => {
    const id = idOf(entry, 'a member of the hiring team')
    const roles = rename(entry, { hiring_team_roles: 'hiring_team_roles' })
    return [{ key: remoteKey(jobId, id), record: { ...roles, job_id: jobId, user_id: id } }]
  },
}

const jobRoles: ChildRule = {
  list: 'hiring_team',
  parentModel: 'jobs',
  model: 'job-role-assignments',
  map: (jobId, entry) => {
    const userId = idOf(entry, 'a member of the hiring team')
    return roleChildren([jobId, userId], entry['job_roles'], { job_id: jobId, user_id: userId })
  },
}

const jobQuestions: ChildRule = {
  list: 'screening_questions',
  parentModel: 'jobs',
  model: 'job-screening-questions',
  entities: {
    model: 'screening-questions',
    collect(entry, out) {
      const id = idOf(entry, 'a screening question')
      if (out.questions.has(id)) return
      out.questions.add(id)
      out.records.push(entity('screening-questions', id, entry, questionFormat(entry)))
    },
  },
  map: (jobId, entry) => {
    const id = idOf(entry, 'a screening question')
    const names = ['index', 'required', 'precondition_question_id']
    const fields = rename(entry, Object.fromEntries(names.map((name) => [name, name])))
    const record = { ...fields, ...preconditionOptions(entry), job_id: jobId, question_id: id }
    return [{ key: remoteKey(jobId, id), record }]
  },
}

/** The order of a select question's options is kept as their `index`, because options are compared by id. */
function questionFormat(entry: Json): RecordInput {
  const format = entry['format']
  if (!isJson(format) || !Array.isArray(format['options'])) return {}
  const options = format['options'].map((option, index) => (isJson(option) ? { ...option, index } : option))
  return { format: { ...format, options } }
}

/** Options are ids for a select question and booleans for a yes/no question; the model holds text. */
function preconditionOptions(entry: Json): RecordInput {
  const options = entry['precondition_options']
  if (!Array.isArray(options)) return {}
  return { precondition_options: options.map((option) => (typeof option === 'boolean' ? String(option) : option)) }
}

const candidateTags: ChildRule = {
  list: 'tags',
  parentModel: 'candidates',
  model: 'candidate-tags',
  map: (candidateId, entry) => {
    const id = idOf(entry, 'a tag')
    return [{ key: remoteKey(candidateId, id), record: { candidate_id: candidateId, tag_id: id } }]
  },
}

const interviewUsers: ChildRule = {
  list: 'users',
  parentModel: 'interviews',
  model: 'interview-users',
  map: (interviewId, entry) => {
    const id = idOf(entry, 'an interviewer')
    return [{ key: remoteKey(interviewId, id), record: { interview_id: interviewId, user_id: id } }]
  },
}

const userRoles: ChildRule = {
  list: 'system_roles',
  parentModel: 'users',
  model: 'user-roles',
  map: (userId, entry) => roleChildren([userId], [entry], { user_id: userId }),
}

/**
 * Roles nested in users carry no Kombo id. They are told apart by the ATS's id, and only without one by label and unified type, which
 * are then part of what they are.
 */
function roleChildren(parents: readonly string[], roles: unknown, references: RecordInput): Child[] | null {
  if (roles === undefined || roles === null) return null
  if (!Array.isArray(roles)) throw new RangeError('`job_roles` is no list')
  return roles.map((role) => {
    if (!isJson(role)) throw new RangeError('a role is no object')
    const remoteId = role['remote_id']
    if (isId(remoteId))
      return { key: remoteKey(...parents, remoteId), record: { ...references, role_remote_id: remoteId } }
    const names = { role_remote_id: 'remote_id', role_label: 'remote_label', role_unified_type: 'unified_type' }
    const text = (name: string): string => (typeof role[name] === 'string' ? role[name] : '')
    // The empty part keeps such a key apart from one with an id.
    const key = remoteKey(...parents, '', text('remote_label'), text('unified_type'))
    return { key, record: { ...references, ...rename(role, names) } }
  })
}

const CHILD_RULES: Readonly<Partial<Record<KomboStream, readonly ChildRule[]>>> = {
  jobs: [postings, jobStages, hiringTeam, jobRoles, jobQuestions],
  candidates: [candidateTags],
  interviews: [interviewUsers],
  users: [userRoles],
}
