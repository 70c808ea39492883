/**
 * Keys of posts and what they are in the model. Every key is inferred: what is not known keeps HR WORKS' own label, and
 * is reported.
 */
import { type Json, textOf } from './json.ts'

const EMPLOYMENT_CONTRACTS: Readonly<Record<string, string | null>> = {
  internship: 'INTERNSHIP',
  freelance: 'CONTRACT',
  // These say nothing of their own; the working time decides.
  permanent: null,
  temporary: null,
  apprenticeship: null,
}

const WORKING_TIMES: Readonly<Record<string, string | null>> = {
  fulltime: 'FULL_TIME',
  parttime: 'PART_TIME',
  minijob: 'PART_TIME',
  // Either: the label says it.
  fullorparttime: null,
}

const PLACES_OF_WORK: Readonly<Record<string, string | null>> = {
  remote: 'REMOTE',
  hybrid: 'HYBRID',
  onsite: 'ON_SITE',
}

type Warn = (text: string) => void

/**
 * What a table says of a key: undefined where it does not know the key, which is reported; null where it leaves the
 * answer open.
 */
function lookUp(
  table: Readonly<Record<string, string | null>>,
  json: Json,
  name: string,
  warn: Warn,
): string | null | undefined {
  const key = textOf(json, name)
  if (key === undefined) return undefined
  const plain = key.toLowerCase().replace(/[^a-z]/g, '')
  const found = Object.hasOwn(table, plain) ? table[plain] : undefined
  if (found === undefined) warn(`The ${name} ${key} of post offers is not known: the label of HR WORKS is kept.`)
  return found
}

/** The contract where it is a kind of its own, else the working time, else the label of either. */
export function employmentType(offer: Json, warn: Warn): Json {
  const names = ['employmentContractKey', 'workingTimeModelKey', 'employmentContract', 'workingTimeModel']
  if (names.every((name) => offer[name] === undefined)) return {}
  const contract = lookUp(EMPLOYMENT_CONTRACTS, offer, 'employmentContractKey', warn)
  const time = lookUp(WORKING_TIMES, offer, 'workingTimeModelKey', warn)
  const label = textOf(offer, 'workingTimeModel') ?? textOf(offer, 'employmentContract') ?? null
  return { employment_type: contract ?? time ?? label }
}

/** REMOTE, HYBRID or ON_SITE, else the label. */
export function remoteWork(offer: Json, warn: Warn): Json {
  if (offer['placeOfWorkTypeKey'] === undefined && offer['placeOfWorkType'] === undefined) return {}
  const place = lookUp(PLACES_OF_WORK, offer, 'placeOfWorkTypeKey', warn)
  return { remote_work_status: place ?? textOf(offer, 'placeOfWorkType') ?? null }
}
