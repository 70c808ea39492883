import type { Random } from '@tidemark/base'

const NUMBERS = ['1e999', '-1e999', '9'.repeat(400), '-0', '1e-400', '9007199254740993', '0.1e1', '1E+2']
const BROKEN_UNICODE = ['"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"\\uffff"', '"\u202e\ufeff"']
const LITERALS = ['null', 'true', '[]', '{}', '""', '"__proto__"', '{"__proto__":{"a":1}}', '{"constructor":null}']

/** Deep enough to exhaust a stack that follows it, small enough to be sent. */
const nested = (random: Random): string => {
  const depth = 10 ** (1 + random.int(5))
  return random.chance(0.5) ? '['.repeat(depth) + ']'.repeat(depth) : `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
}

type Mutation = (body: Buffer, random: Random) => Buffer

const pick = <T>(values: readonly T[], random: Random): T => values[random.int(values.length)] as T

/** Replaces one JSON value of the text, found by its position, with another one. */
function replaceValue(body: Buffer, random: Random, value: string): Buffer {
  const text = body.toString()
  const values = [...text.matchAll(/(?<=[:[,]\s*)(?:"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null)/g)]
  const found = values[random.int(Math.max(1, values.length))]
  if (!found) return Buffer.from(value)
  return Buffer.from(text.slice(0, found.index) + value + text.slice(found.index + found[0].length))
}

const MUTATIONS: readonly Mutation[] = [
  (body) => body,
  // Bits.
  (body, random) => {
    const copy = Buffer.from(body)
    for (let i = 0; i <= random.int(4) && copy.length > 0; i++) {
      const at = random.int(copy.length)
      copy[at] = (copy[at] as number) ^ (1 << random.int(8))
    }
    return copy
  },
  (body, random) => body.subarray(0, random.int(body.length + 1)),
  (body, random) => Buffer.concat([body, body.subarray(random.int(body.length + 1))]),
  (body, random) => replaceValue(body, random, pick(NUMBERS, random)),
  (body, random) => replaceValue(body, random, pick(BROKEN_UNICODE, random)),
  (body, random) => replaceValue(body, random, pick(LITERALS, random)),
  (body, random) => replaceValue(body, random, nested(random)),
  (body, random) => replaceValue(body, random, JSON.stringify('x'.repeat(10 ** random.int(5)))),
  // Bytes that are no UTF-8.
  (_, random) => Buffer.from(Array.from({ length: random.int(200) }, () => random.int(256))),
  (_, random) => Buffer.from(pick([...NUMBERS, ...BROKEN_UNICODE, ...LITERALS], random)),
]

/** A body made from a real one by one to three things that go wrong on the way, or are done on purpose. */
export function mutate(body: Buffer, random: Random): Buffer {
  let mutated = body
  for (let i = 0; i <= random.int(3); i++) mutated = pick(MUTATIONS, random)(mutated, random)
  return mutated
}
