import type { Mapped, Page } from '@tidemark/connector'
import type { HttpAnswer } from '@tidemark/connector/http'
import { NOTHING } from '@tidemark/connector/mapping'

/** An answer of HR WORKS as a page of its stream, with what it maps to: nothing, where it only helps to read others. */
export function toPage(answer: HttpAnswer, mapped: Mapped = NOTHING, notOffered: string | null = null): Page {
  const { route, status, headers, body, requestedAtMs, receivedAtMs } = answer
  return { route, status, headers, body, requestedAtMs, receivedAtMs, mapped, total: null, notOffered }
}
