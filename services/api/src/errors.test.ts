import { KomboAtsErrorCode, KomboGeneralErrorCode } from '@kombo-api/sdk/models'
import { expect, test } from 'vitest'
import { API_ERRORS } from './errors.ts'

const codes = Object.keys(API_ERRORS)

test("every code that is not our own is one of those Kombo's SDK knows", () => {
  const foreign = codes.filter((code) => !code.startsWith('TIDEMARK.'))
  expect(Object.values(KomboAtsErrorCode)).toEqual(expect.arrayContaining(foreign))
  const platform = foreign.filter((code) => code.startsWith('PLATFORM.'))
  expect(Object.values(KomboGeneralErrorCode)).toEqual(expect.arrayContaining(platform))
})

test('every code has a title of its own', () => {
  expect(new Set(Object.values(API_ERRORS).map(({ title }) => title)).size).toBe(codes.length)
})
