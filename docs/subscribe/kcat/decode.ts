/** Decodes what `kcat -C … -f '%R%s'` prints (the length of a value as a big-endian int32, then the value) into lines of JSON. Setting: REGISTRY_URL. */
import { decodeChange } from '../typescript/decode.ts'

const LENGTH_BYTES = 4
let rest = Buffer.alloc(0)

for await (const chunk of process.stdin) {
  rest = Buffer.concat([rest, chunk as Buffer])
  while (rest.length >= LENGTH_BYTES) {
    // -1 stands for a null value.
    const end = LENGTH_BYTES + Math.max(0, rest.readInt32BE(0))
    if (rest.length < end) break
    const value = rest.subarray(LENGTH_BYTES, end)
    if (value.length > 0) console.log(JSON.stringify(await decodeChange(value)))
    rest = rest.subarray(end)
  }
}
