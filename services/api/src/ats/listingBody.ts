/** At most so many bytes are a UTF-16 code unit in UTF-8. */
const BYTES_PER_UNIT = 3
const FIRST_BYTES = 64 * 1024

/**
 * The answer of a listing as bytes. Record by record: one text of a whole page in which a single name is not ASCII takes longer to encode than to
 * write.
 */
export function listingBody(next: string | null, results: readonly object[]): Buffer {
  let body = Buffer.allocUnsafe(FIRST_BYTES)
  let end = 0
  const write = (text: string): void => {
    const needed = end + text.length * BYTES_PER_UNIT
    if (needed > body.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, body.length * 2))
      body.copy(larger, 0, 0, end)
      body = larger
    }
    end += body.write(text, end)
  }
  write(`{"status":"success","data":{"next":${JSON.stringify(next)},"results":[`)
  for (const [i, result] of results.entries()) write(i === 0 ? JSON.stringify(result) : `,${JSON.stringify(result)}`)
  write(']}}')
  return body.subarray(0, end)
}
