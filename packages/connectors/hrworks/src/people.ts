/**
 * Persons: the listing says who there is, their master data has their addresses, the listing of active ones their
 * status.
 */
import { remoteKey } from '@tidemark/model'
import { Collector, type MappedRows } from './collector.ts'
import { field, idOf, isJson, type Json } from './json.ts'

/**
 * The rows of `GET /persons`: an object of lists by organization unit; also a plain list. Undefined for anything else.
 */
export function personRows(json: unknown): readonly unknown[] | undefined {
  if (Array.isArray(json)) return json
  if (!isJson(json)) return undefined
  const lists = Object.values(json)
  return lists.every((list) => Array.isArray(list)) ? lists.flat(1) : undefined
}

/** The id under which a person is kept. */
export const personId = (person: Json): string | undefined => idOf(person, 'uuid') ?? idOf(person, 'personId')

/**
 * Which of a row's names two listings of persons have in common is not documented: the uuid may be missing from master
 * data (inferred).
 */
const JOIN_BY = ['uuid', 'personnelNumber', 'personId'] as const

const joinKeys = (person: Json): string[] =>
  JOIN_BY.flatMap((name) => {
    const id = idOf(person, name)
    return id === undefined ? [] : [`${name} ${id}`]
  })

/** What is known of the persons of a tenant from other listings than the first. */
export class Directory {
  readonly #masterData = new Map<string, Json>()
  #active: Set<string> | null = null

  /** Adds a page of master data; only what is needed of it is kept. */
  addMasterData(rows: readonly unknown[]): void {
    for (const row of rows) {
      if (!isJson(row)) continue
      const kept = field('email', row, 'email')
      for (const key of joinKeys(row)) this.#masterData.set(key, kept)
    }
  }

  setActive(rows: readonly unknown[]): void {
    this.#active = new Set(rows.flatMap((row) => (isJson(row) ? (personId(row) ?? []) : [])))
  }

  /** `{email}` of a person, when master data has it. */
  emailOf(person: Json): Json {
    for (const key of joinKeys(person)) {
      const found = this.#masterData.get(key)
      if (found) return found
    }
    return {}
  }

  /** `{status}` of a person, when it is known who is active. */
  statusOf(id: string): Json {
    return this.#active === null ? {} : { status: this.#active.has(id) ? 'ACTIVE' : 'INACTIVE' }
  }
}

/** Maps persons to users. A person in several organization units is listed in each, and is one user. */
export function mapUsers(rows: readonly unknown[], directory: Directory): MappedRows {
  const out = new Collector()
  const seen = new Set<string>()
  return out.each('users', rows, (person) => {
    const id = isJson(person) ? personId(person) : undefined
    if (!isJson(person) || id === undefined) {
      out.fail('users', null, isJson(person) ? 'has neither `uuid` nor `personId`' : 'expected an object', person)
      return
    }
    if (seen.has(id)) return
    seen.add(id)
    out.add('users', remoteKey(id), {
      remote_id: id,
      ...field('first_name', person, 'firstName'),
      ...field('last_name', person, 'lastName'),
      ...directory.emailOf(person),
      ...directory.statusOf(id),
    })
  }).result
}

/** Ids of persons by their address in lower case, for contacts that are named by address only. */
export function personIdsByEmail(rows: readonly unknown[], directory: Directory): ReadonlyMap<string, string> {
  const byEmail = new Map<string, string>()
  for (const person of rows) {
    if (!isJson(person)) continue
    const { email } = directory.emailOf(person)
    const id = personId(person)
    if (typeof email === 'string' && id !== undefined) byEmail.set(email.toLowerCase(), id)
  }
  return byEmail
}
