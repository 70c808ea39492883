import type { Mapped, MappedRecord } from '@tidemark/connector'
import { publicId, recordKey, remoteKey } from '@tidemark/model'
import type { Company, Row } from './company.ts'
import { childModelOf } from './traits.ts'

type Content = Pick<Mapped, 'records' | 'childLists'>

/** A row as a connector maps it: the record, its children, and their complete list where it is delivered. */
export function mapRow(company: Company, row: Row): Content {
  const { stream, id } = row
  const { hasTrash, hasVersions } = company.traits[stream]
  const base = { model: stream, remoteKey: remoteKey(id), remoteVersion: hasVersions ? row.version : null }
  const flag = hasTrash ? { remote_deleted_at: row.deletedAt } : {}
  const record: MappedRecord = {
    ...base,
    kind: row.isBlank ? 'anonymized' : 'record',
    record: { ...row.fields, ...references(company, row), ...flag },
    ...(row.deletedAt === null ? {} : { evidence: { kind: 'provider_flag', detail: `deleted ${row.deletedAt}` } }),
  }
  const children = childrenOf(company, row)
  return { records: [record, ...children.records], childLists: children.childLists }
}

/** Fields that name other records. */
export function references(company: Company, { stream, id }: Row): Record<string, unknown> {
  if (stream !== 'applications') return {}
  return { remote_id: id, candidate_id: publicId(recordKey(company.integration, 'candidates', remoteKey(`c${id}`))) }
}

/** Fields of a child. */
export function childFields(company: Company, parent: Row, child: string): Record<string, unknown> {
  const parentId = publicId(company.keyOf(parent))
  if (parent.stream === 'jobs') return { job_id: parentId, stage_id: child, index: parent.children.indexOf(child) }
  return { candidate_id: parentId, tag_id: publicId(recordKey(company.integration, 'tags', remoteKey(child))) }
}

function childrenOf(company: Company, row: Row): Content {
  const model = childModelOf(row.stream)
  if (model === undefined || !row.showsList || row.isBlank) return { records: [], childLists: [] }
  const records = row.children.map(
    (child): MappedRecord => ({
      model,
      remoteKey: remoteKey(row.id, child),
      kind: 'record',
      remoteVersion: null,
      record: childFields(company, row, child),
    }),
  )
  const children = records.map((record) => record.remoteKey)
  return {
    records,
    childLists: [{ parentModel: row.stream, parentRemoteKey: remoteKey(row.id), model, children }],
  }
}
