import { alpha2 } from './country.ts'
import { field, isJson, type Json } from './json.ts'

/**
 * A location of the model from an address. Names beyond `street` and `city` are inferred, the country's under either of
 * two names. What is no object is handed on as it is, for the record to be refused with a path.
 */
export function locationOf(address: unknown, more: Json = {}): unknown {
  if (!isJson(address)) return address
  const country = address['internationalCountryCode'] === undefined ? 'countryCode' : 'internationalCountryCode'
  return {
    ...field('city', address, 'city'),
    ...field('zip_code', address, 'zipCode'),
    ...street(address),
    ...field('street_2', address, 'additional'),
    ...field('country', address, country, (code) => (typeof code === 'string' ? alpha2(code) : code)),
    ...more,
  }
}

/** Street and number in one line. */
function street(address: Json): Json {
  const { street, streetNumber } = address
  if (street === undefined && streetNumber === undefined) return {}
  const parts = [street, streetNumber].filter((part) => part !== undefined && part !== null && part !== '')
  return { street_1: parts.length === 0 ? null : parts.join(' ') }
}
