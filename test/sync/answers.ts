import type { Random } from '@tidemark/base'
import type { Mapped, MappingFailure, PointRead } from '@tidemark/connector'
import { remoteKey, remoteKeyParts } from '@tidemark/model'
import type { Company, Row } from './company.ts'
import { failure, type Mishap } from './faults.ts'
import { mapRow } from './mapping.ts'
import type { Listing } from './provider.ts'
import type { StreamName } from './traits.ts'

/** Maps the rows of a page, and notes in the listing what it showed. With a mishap that says so, one row cannot be read, or some are not shown. */
export function mapRows(listing: Listing, rows: readonly Row[], mishap: Mishap | null, random: Random): Mapped {
  const { company, stream } = listing
  const isBroken = mishap?.kind.startsWith('unreadable') === true
  const isIncomplete = mishap?.kind === 'incomplete'
  if (isIncomplete) listing.isBlind = true
  // The row that is missing from what can be read.
  const missing = (isBroken || isIncomplete) && rows.length > 0 ? random.pick(rows) : undefined
  const readable = rows.filter((row) => row !== missing)
  for (const row of readable) listing.shown.add(company.keyOf(row))
  return {
    ...contentOf(company, readable),
    failures:
      isBroken && missing ? [unreadable(listing, missing, mishap?.kind === 'unreadable, who knows which', random)] : [],
    ...(isIncomplete ? { incompleteModels: [stream] } : {}),
  }
}

/** What a point read of some keys answers. */
export function mapAsked(
  company: Company,
  stream: StreamName,
  keys: readonly string[],
): { readonly mapped: Mapped; readonly absent: PointRead['absent'] } {
  const asked = keys.map((key) => ({ key, row: company.row(stream, remoteKeyParts(key)[0] ?? '') }))
  const rows = asked.flatMap(({ row }) => row ?? [])
  const absent = asked.flatMap(({ key, row }) => (row ? [] : [{ remoteKey: key, record: {} }]))
  return { mapped: { ...contentOf(company, rows), failures: [] }, absent }
}

function contentOf(company: Company, rows: readonly Row[]): Pick<Mapped, 'records' | 'childLists'> {
  const contents = rows.map((row) => mapRow(company, row))
  return {
    records: contents.flatMap(({ records }) => records),
    childLists: contents.flatMap(({ childLists }) => childLists),
  }
}

function unreadable(listing: Listing, row: Row, isUnknown: boolean, random: Random): MappingFailure {
  const { stream, id } = row
  listing.unread.add(listing.company.keyOf(row))
  const base = { error: failure('RECORD_INVALID'), json: JSON.stringify(id) }
  if (!isUnknown) return { ...base, model: stream, remoteKey: remoteKey(id) }
  listing.isBlind = true
  return { ...base, model: random.chance(0.5) ? null : stream, remoteKey: null }
}
