import { setImmediate as nextTurn } from 'node:timers/promises'
import type { CopyRow, CopyRows, CopyTarget, SqlValue } from '@tidemark/store'
import { type Client, escapeIdentifier } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'

/** Text is sent in pieces of about this size; no more than one is under way. */
const CHUNK_CHARS = 128 * 1024

/** `COPY "schema"."table" ("a", "b") FROM STDIN`. */
export function copySql({ schema, table, columns }: CopyTarget): string {
  const name = [schema, table].flatMap((part) => (part === undefined ? [] : [escapeIdentifier(part)])).join('.')
  return `COPY ${name} (${columns.map((column) => escapeIdentifier(column)).join(', ')}) FROM STDIN`
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }
const escapeText = (text: string): string =>
  /[\\\n\r\t]/.test(text) ? text.replace(/[\\\n\r\t]/g, (c) => ESCAPES[c]!) : text

/** One value in COPY's text format. */
export function copyField(value: SqlValue): string {
  if (value === null) return '\\N'
  if (typeof value === 'string') return escapeText(value)
  if (typeof value !== 'object') return String(value)
  if (value instanceof Uint8Array)
    return `\\\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`
  return escapeText(`{${value.map(arrayItem).join(',')}}`)
}

function arrayItem(item: string | number | null): string {
  return item === null ? 'NULL' : `"${String(item).replaceAll(/[\\"]/g, '\\$&')}"`
}

/** One row in COPY's text format, with its line end. */
export const copyLine = (row: CopyRow): string => `${row.map(copyField).join('\t')}\n`

/** What the source of the rows threw, as opposed to the database. */
export class SourceFailure {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

/**
 * Runs one COPY and returns how many rows it wrote. All or nothing. Throws SourceFailure when `rows` threw; anything else is the
 * database's. Memory is bounded by one piece, whatever the number of rows.
 */
export async function copyInto(client: Client, sql: string, rows: CopyRows): Promise<number> {
  const stream = client.query(copyFrom(sql))
  const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()))
  let refused: (error: unknown) => void = () => undefined
  const refusal = new Promise<never>((_, reject) => {
    refused = reject
  })
  refusal.catch(() => undefined) // Looked at in every race below.
  stream.on('error', (error) => refused(error))
  // One write at a time: what the stream still holds when the server refuses would be sent after the end of the COPY.
  const send = (text: string): Promise<unknown> =>
    Promise.race([refusal, new Promise<void>((resolve) => stream.write(text, () => resolve()))])

  try {
    for await (const text of chunks(rows)) {
      await send(text)
      // A fast server takes every piece at once: without a turn, its refusal would not be seen, and nothing else would run here.
      await nextTurn()
    }
  } catch (error) {
    if (!(error instanceof SourceFailure)) throw error
    // Without its error as reason, which the server would write to its log.
    stream.destroy()
    await closed
    throw error
  }
  const finished = new Promise<void>((resolve) => stream.once('finish', () => resolve()))
  stream.end()
  await Promise.race([refusal, finished])
  return stream.rowCount
}

async function* chunks(rows: CopyRows): AsyncGenerator<string> {
  let text = ''
  const take = (row: CopyRow): boolean => {
    text += copyLine(row)
    return text.length >= CHUNK_CHARS
  }
  const piece = (): string => {
    const full = text
    text = ''
    return full
  }
  try {
    // Apart, as waiting for every row of a list would cost more than writing it.
    if (Symbol.iterator in rows) {
      for (const row of rows) if (take(row)) yield piece()
    } else {
      for await (const row of rows) if (take(row)) yield piece()
    }
  } catch (error) {
    throw new SourceFailure(error)
  }
  if (text !== '') yield text
}
