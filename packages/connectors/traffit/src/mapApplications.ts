/**
 * The history of recruitments to applications. TRAFFIT has no application: it is that a candidate is in a job, and each row of the history is one stay in
 * a state. Its remote key is `remoteKey(<employee>, <recruitment>)`, two parts, so that `6708:52` reads as the pair and the applications of a candidate are
 * neighbours; `remote_id` is the same text.
 */

import { isJson, type Json } from '@tidemark/connector/mapping'
import { remoteKey } from '@tidemark/model'
import { type Collector, type MapContext, reference } from './collector.ts'
import { refId } from './json.ts'
import type { Times } from './times.ts'
import { outcomeOf, type Workflows } from './workflows.ts'

export interface Pair {
  readonly employeeId: string
  readonly recruitmentId: string
}

export const applicationKey = ({ employeeId, recruitmentId }: Pair): string => remoteKey(employeeId, recruitmentId)

/** The pair of a row of the history, or null. */
export function pairOf(row: Json): Pair | null {
  const employeeId = refId(row['employee'])
  const recruitmentId = refId(row['recruitment'])
  return employeeId === null || recruitmentId === null ? null : { employeeId, recruitmentId }
}

/** The stay has not ended: the key is absent. A null, which was not seen, would mean the same. */
export const isCurrent = (row: Json): boolean => row['end_date'] === undefined || row['end_date'] === null

/** When a stay began, in ms; 0 where it does not say. */
export const beganAt = (row: Json, times: Times): number =>
  times.toMs(row['date']) ?? times.toMs(row['created_at']) ?? 0

/** When the application was created, if this is its first stay. */
export const createdAt = (row: Json, times: Times): number | undefined =>
  times.toMs(row['created_at']) ?? times.toMs(row['date'])

/** Adds an application as its deciding stay, or an answer about the candidate's jobs, shows it. `state` is `{id, type?, …}`. */
export function addApplication(
  context: MapContext,
  pair: Pair,
  state: unknown,
  workflows: Workflows | null,
  remoteData: object,
  out: Collector,
): void {
  const key = applicationKey(pair)
  const stageId = refId(state)
  if (!isJson(state) || stageId === null) {
    out.fail('applications', key, 'names no state', remoteData)
    return
  }
  // A row of the history lacks what the workflow knows of the state: whether it rejects.
  const outcome = outcomeOf({ ...workflows?.byId.get(stageId)?.json, ...state })
  const record = {
    remote_id: key,
    candidate_id: reference(context, 'candidates', pair.employeeId),
    job_id: reference(context, 'jobs', pair.recruitmentId),
    current_stage_id: reference(context, 'application-stages', stageId),
    ...(outcome === null ? {} : { outcome }),
    remote_data: remoteData,
  }
  // No version: a stay that is taken back leaves an older one as the current one.
  out.add('applications', key, record)
}
