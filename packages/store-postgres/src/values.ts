import { types } from 'pg'

type Parse = (text: string) => unknown

const asText: Parse = (text) => text
const asNumber: Parse = (text) => Number(text)
const asBytes: Parse = (text) => {
  const { buffer, byteOffset, byteLength } = Buffer.from(text.slice(2), 'hex')
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** Types with a JS value of their own, by object id; with those of their arrays. Every other scalar stays text: nothing is lost. */
const SCALARS: readonly { readonly type: number; readonly array: number; readonly parse: Parse }[] = [
  { type: 16, array: 1000, parse: (text) => text === 't' }, // bool
  { type: 17, array: 1001, parse: asBytes }, // bytea
  { type: 21, array: 1005, parse: asNumber }, // int2
  { type: 23, array: 1007, parse: asNumber }, // int4
  { type: 26, array: 1028, parse: asNumber }, // oid
  { type: 700, array: 1021, parse: asNumber }, // float4
  { type: 701, array: 1022, parse: asNumber }, // float8
  { type: 114, array: 199, parse: JSON.parse }, // json
  { type: 3802, array: 3807, parse: JSON.parse }, // jsonb
]

/** Arrays of: char, name, text, bpchar, varchar, int8, numeric, uuid, inet, timestamp, date, time, timestamptz, interval, timetz. */
const TEXT_ARRAYS = [1002, 1003, 1009, 1014, 1015, 1016, 1231, 2951, 1041, 1115, 1182, 1183, 1185, 1187, 1270]

// pg's typings describe another form of it; this one parses nested arrays and leaves NULL out of the transformation.
const arrayParser = types.arrayParser as unknown as {
  create(text: string, parse: Parse): { parse(): unknown[] }
}
const arrayOf =
  (parse: Parse): Parse =>
  (text) =>
    arrayParser.create(text, parse).parse()

const PARSERS = new Map<number, Parse>([
  ...SCALARS.map(({ type, parse }) => [type, parse] as const),
  ...SCALARS.map(({ array, parse }) => [array, arrayOf(parse)] as const),
  ...TEXT_ARRAYS.map((type) => [type, arrayOf(asText)] as const),
])

/** Reads values as the port wants them, instead of pg's own choice (Date objects, floats for numeric[]). */
export const VALUE_PARSERS = {
  getTypeParser: ((type: number) => PARSERS.get(type) ?? asText) as typeof types.getTypeParser,
}
