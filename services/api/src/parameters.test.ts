import { describe, expect, test } from 'vitest'
import { LISTING_PARAMETERS } from './ats/parameters.ts'
import { unknownParameter } from './parameters.ts'

const known = ['cursor', 'page_size', 'updated_after', 'include_deleted', 'ids', 'remote_ids', 'statuses', 'status']

describe('an unknown parameter', () => {
  test.each([
    ['updatedAfter', 'updated_after'],
    ['update_after', 'updated_after'],
    ['PageSize', 'page_size'],
    ['ids[]', 'ids'],
    ['id', 'ids'],
    ['remote_id', 'remote_ids'],
    ['statusses', 'statuses'],
    ['includeDelete', 'include_deleted'],
  ])('%s is answered with the one probably meant: %s', (name, meant) => {
    const message = unknownParameter(name, known)
    expect(message).toContain(`There is no parameter "${name}" here.`)
    expect(message).toContain(`Did you mean ${meant}?`)
  })

  test("included_deleted is known as a misspelling of Kombo's documentation", () => {
    const message = unknownParameter('included_deleted', known)
    expect(message).toMatch(/misspelling .*Kombo.*include_deleted/)
  })

  test('that is like none is answered with those there are', () => {
    expect(unknownParameter('limit', known)).toContain(`Known are ${[...known].sort().join(', ')}.`)
    expect(unknownParameter('limit', [])).toContain('This route takes none.')
  })

  test('of any length makes a short answer', () => {
    expect(unknownParameter('x'.repeat(100_000), known).length).toBeLessThan(400)
  })
})

// https://docs.kombo.dev/ats/v1/get-jobs and its siblings.
const COMMON = [
  'cursor',
  'page_size',
  'updated_after',
  'include_deleted',
  'ignore_unsupported_filters',
  'ids',
  'remote_ids',
]
const JOBS = ['job_codes', 'post_url', 'statuses', 'status', 'employment_types', 'visibilities', 'name_contains']
const APPLICATIONS = ['outcomes', 'outcome', 'job_ids', 'job_remote_ids', 'current_stage_ids', 'remote_created_after']

describe("the parameters of a listing are Kombo's, and as_of", () => {
  test.each([
    ['jobs', [...JOBS, 'remote_created_after']],
    ['candidates', ['email', 'job_ids', 'first_name', 'last_name']],
    ['applications', APPLICATIONS],
    ['application-stages', []],
    ['interviews', ['job_ids']],
    ['offers', []],
    ['rejection-reasons', []],
    ['tags', []],
    ['users', ['emails']],
    ['roles', ['scopes']],
    ['notes', ['candidate_ids', 'application_ids']],
  ])('%s', (path, own) => {
    expect([...(LISTING_PARAMETERS[`/v1/ats/${path}`] ?? [])].sort()).toEqual([...COMMON, 'as_of', ...own].sort())
  })
})
