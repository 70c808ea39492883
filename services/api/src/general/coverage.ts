/** Which models and fields can be read, as Kombo tells it of tools and of integrations. */
import { MODEL_NAMES, type ModelName } from '@tidemark/model'
import { TABLES } from '@tidemark/projection'
import { allowsModel, type Scope } from '../auth.ts'
import type { StreamStatus } from '../deps.ts'
import { labelOf } from './tools.ts'

/** SUPPORTED: a listing of the source is its origin. UNKNOWN: none is, and whether the ATS has it nobody told. */
type CoverageStatus = 'SUPPORTED' | 'UNKNOWN'

interface Coverage {
  readonly id: string
  readonly label: string
  readonly coverage_status: CoverageStatus
  readonly fields: readonly { readonly id: string; readonly coverage_status: CoverageStatus }[]
}

/** Models that link two others; Kombo covers them with those. */
const JOINS: ReadonlySet<ModelName> = new Set<ModelName>([
  'candidate-tags',
  'job-stages',
  'job-hiring-team',
  'job-screening-questions',
  'interview-users',
  'user-roles',
  'job-role-assignments',
])

/** Columns that are no data of the ATS, or empty in listings. */
const HIDDEN = new Set(['remote_deleted_at', 'remote_data'])

/** Kombo's name of a model: `application-stages` is `ats_application_stages`. */
const komboName = (model: ModelName): string => `ats_${model.replaceAll('-', '_')}`

/** Models that a source's listings bring. */
export function modelsOf(streams: readonly Pick<StreamStatus, 'models'>[]): Set<string> {
  return new Set(streams.flatMap(({ models }) => models))
}

/**
 * Coverage of each model that the key may read. Which fields an ATS fills is not known beforehand (a source sends what it has), so
 * fields are UNKNOWN.
 */
export function readModels(supported: ReadonlySet<string>, scope: Scope): Coverage[] {
  return MODEL_NAMES.filter((model) => !JOINS.has(model) && allowsModel(scope, model)).map((model) => ({
    id: komboName(model),
    label: labelOf(model),
    coverage_status: supported.has(model) ? 'SUPPORTED' : 'UNKNOWN',
    fields: fieldsOf(model).map((id) => ({ id, coverage_status: 'UNKNOWN' })),
  }))
}

function fieldsOf(model: ModelName): string[] {
  const names = TABLES[model].fields.map(({ name }) => name).filter((name) => !HIDDEN.has(name))
  return ['id', 'remote_id', ...names]
}

/** What a tool can be used for besides. Kombo's pages name this feature; that its id is written so is inferred. */
export function features(hasPassthrough: boolean): object[] {
  const coverage_status: CoverageStatus = hasPassthrough ? 'SUPPORTED' : 'UNKNOWN'
  return [{ id: 'api_passthrough', label: 'API Passthrough', coverage_status }]
}

/** The same for one integration, where every entry also says whether it can be read. Fields of a model that is covered are served. */
export function availableModels(supported: ReadonlySet<string>, scope: Scope): object[] {
  const settings = { scope_config_setting: 'ENABLED', opted_out_by_customer: false } as const
  return readModels(supported, scope).map(({ fields, ...model }) => {
    const is_available = model.coverage_status === 'SUPPORTED'
    return {
      ...model,
      is_available,
      ...settings,
      fields: fields.map((field) => ({ ...field, is_available, ...settings })),
    }
  })
}
