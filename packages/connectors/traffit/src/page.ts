import type { Mapped, Page } from '@tidemark/connector'
import { NOTHING } from '@tidemark/connector/mapping'
import type { GetAnswer } from './client.ts'
import { pageInfo } from './cursor.ts'

/**
 * An answer of TRAFFIT as a page, with what it maps to. Records that are joined from several answers are as old as the oldest of them: `joinedAtMs`
 * is when its request was sent, so that what was observed meanwhile is not overwritten with it.
 */
export function toPage({ answer }: GetAnswer, mapped: Mapped, joinedAtMs = answer.requestedAtMs): Page {
  const { route, status, headers, body, receivedAtMs } = answer
  return {
    ...{ route, status, headers, body, receivedAtMs },
    requestedAtMs: Math.min(joinedAtMs, answer.requestedAtMs),
    mapped,
    total: pageInfo(answer).totalCount,
    notOffered: null,
  }
}

/** The page of a stream whose scope the API client lacks. */
export const notOfferedPage = (answer: GetAnswer, scope: string): Page => ({
  ...toPage(answer, NOTHING),
  notOffered: `${answer.message} The API client lacks the scope \`${scope}\`; add it in TRAFFIT's settings.`,
})
