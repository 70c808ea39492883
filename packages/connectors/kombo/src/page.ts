import type { Page } from '@tidemark/connector'
import type { ListAnswer } from './client.ts'
import { type KomboStream, mapPage } from './mapping.ts'

/** An answer of Kombo as a page of its stream. */
export function toPage(stream: KomboStream, answer: ListAnswer): Page {
  const { route, status, headers, body, requestedAtMs, receivedAtMs } = answer
  return {
    ...{ route, status, headers, body, requestedAtMs, receivedAtMs, total: null },
    mapped: answer.kind === 'page' ? mapPage(stream, answer.results) : { records: [], childLists: [], failures: [] },
    notOffered: answer.kind === 'not_offered' ? answer.message : null,
  }
}
