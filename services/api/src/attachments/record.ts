import type { AttachmentModel } from '@tidemark/connector'
import { parseRecordKey } from '@tidemark/model'
import { statesNow } from '@tidemark/projection'
import type { ApiDeps } from '../deps.ts'
import { ApiError } from '../errors.ts'
import { createWhere } from '../sql.ts'

export interface RecordName {
  readonly integrationId: string
  readonly model: AttachmentModel
  /** Public id. */
  readonly id: string
}

/** What the provider calls a record; throws the same 404 whether it is unknown or deleted. */
export async function remoteKeyOf({ store, schema }: ApiDeps, record: RecordName): Promise<string> {
  const states = statesNow(schema)
  const where = createWhere()
  where.and(`t.id = ${where.param(record.id)} and t.integration_id = ${where.param(record.integrationId)}`)
  where.and(`t.remote_deleted_at is null and ${states.holds('t')}`)
  // Of records that share an id (one that was created anew) the newest one is meant.
  const [row] = await store.query(
    `select t.record_key from ${states.from(record.model, 't')} where ${where.text} order by t.changed_at desc limit 1`,
    where.params,
  )
  const key = parseRecordKey(String(row?.['record_key'] ?? ''))
  if (key === undefined) throw recordNotFound(record)
  return key.remote
}

/** Kombo's clients refuse codes of our own. */
export function recordNotFound({ integrationId, model, id }: RecordName): ApiError {
  const message = `There is no record ${id} of ${model} in ${integrationId}. Ids are those of /v1/ats, not of the ATS.`
  return new ApiError(404, 'PLATFORM.INPUT_INVALID', message)
}
