/** TRAFFIT's workflows with their states: the stages of all jobs, and what each means. */
import type { Mapped } from '@tidemark/connector'
import { isJson, type Json } from '@tidemark/connector/mapping'
import { remoteKey } from '@tidemark/model'
import { Collector, mapEach } from './collector.ts'
import { idOf, textOf } from './json.ts'

export interface State {
  readonly id: string
  readonly workflowId: string
  readonly workflowName: unknown
  readonly order: number
  readonly json: Json
}

/** The states of all workflows. */
export interface Workflows {
  readonly byId: ReadonlyMap<string, State>
  /** Ids in the order of each workflow; terminal states have huge orders, so that only their rank means anything. */
  readonly idsOf: ReadonlyMap<string, readonly string[]>
  /** Position among the states of all workflows, by workflow and order. */
  readonly rankOf: ReadonlyMap<string, number>
  /** Workflows of which a state could not be read. */
  readonly incomplete: ReadonlySet<string>
}

/** Reads rows of `/workflows/details`. What cannot be read is left out; {@link mapStages} reports it. */
export function readWorkflows(rows: readonly unknown[]): Workflows {
  const states: State[] = []
  const incomplete = new Set<string>()
  for (const workflow of rows) {
    const workflowId = isJson(workflow) ? idOf(workflow['id']) : null
    if (!isJson(workflow) || workflowId === null) continue
    const list = workflow['states']
    if (!Array.isArray(list)) incomplete.add(workflowId)
    for (const json of Array.isArray(list) ? list : []) {
      const state = stateOf(json, workflowId, workflow['name'])
      if (state === null) incomplete.add(workflowId)
      else states.push(state)
    }
  }
  states.sort((a, b) => Number(a.workflowId) - Number(b.workflowId) || a.order - b.order || Number(a.id) - Number(b.id))
  const byId = new Map<string, State>()
  const idsOf = new Map<string, string[]>()
  for (const state of states) {
    if (!byId.has(state.id)) byId.set(state.id, state)
    const ids = idsOf.get(state.workflowId) ?? []
    if (!ids.includes(state.id)) ids.push(state.id)
    idsOf.set(state.workflowId, ids)
  }
  const rankOf = new Map([...byId.keys()].map((id, rank) => [id, rank]))
  return { byId, idsOf, rankOf, incomplete }
}

function stateOf(json: unknown, workflowId: string, workflowName: unknown): State | null {
  if (!isJson(json)) return null
  const id = idOf(json['id'])
  const order = typeof json['order'] === 'number' ? json['order'] : Number.MAX_SAFE_INTEGER
  return id === null ? null : { id, workflowId, workflowName, order, json }
}

/** Maps the states on one page of `/workflows/details`, ranked among all of `workflows`. */
export function mapStages(rows: readonly unknown[], workflows: Workflows): Mapped {
  const out = new Collector()
  const seen = new Set<string>()
  mapEach(out, 'application-stages', rows, (workflow) => {
    const states = workflow['states']
    if (!Array.isArray(states)) {
      out.fail('application-stages', null, 'a workflow has no list `states`', workflow)
      return
    }
    for (const json of states) {
      const id = isJson(json) ? idOf(json['id']) : null
      if (id === null) out.fail('application-stages', null, 'a state has no `id`', json)
      else if (!seen.has(id)) {
        seen.add(id)
        out.add('application-stages', remoteKey(id), stageRecord(id, json as Json, workflow, workflows))
      }
    }
  })
  return out.mapped()
}

const stageRecord = (id: string, state: Json, workflow: Json, { rankOf }: Workflows): Record<string, unknown> => ({
  remote_id: id,
  name: textOf(state['name']) ?? textOf(state['sid']),
  global_index: rankOf.get(id) ?? null,
  remote_data: { '/workflows/details': { ...state, workflow: { id: workflow['id'], name: workflow['name'] ?? null } } },
})

export type Outcome = 'PENDING' | 'HIRED' | 'DECLINED'

/** What being in a state means; null when the state's type is not known. A state that waits counts as pending (a choice). */
export function outcomeOf(state: Json): Outcome | null {
  if (state['is_rejection'] === true || state['type'] === 'end-bad') return 'DECLINED'
  if (state['type'] === 'end-good') return 'HIRED'
  return textOf(state['type']) === null ? null : 'PENDING'
}
