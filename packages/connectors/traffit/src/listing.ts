import { TidemarkError } from '@tidemark/base'
import type { Caller, GetAnswer, GetRequest, TraffitClient } from './client.ts'
import type { CursorLimits } from './cursor.ts'
import { PageFollower, pageInfo } from './cursor.ts'
import { answerInvalid } from './errors.ts'

export interface ListRequest {
  readonly path: string
  readonly isPublic?: boolean
  readonly filter?: string | null
  readonly direction?: 'ASC' | 'DESC'
}

export interface ListPage {
  readonly answer: GetAnswer
  readonly rows: readonly unknown[]
  readonly isLast: boolean
}

/** Why a listing has no first page: `forbidden` (its scope is missing), `absent` (no such route or record), `refused` (a filter it does not know). */
export interface NoListing {
  readonly answer: GetAnswer
  readonly rows: null
}

/**
 * Pages of a listing, in order, to its last; or one {@link NoListing}. Throws what the client throws, PROVIDER_ANSWER_INVALID for what is no list,
 * and PROVIDER_REFUSED for a refusal behind the first page.
 */
export async function* listPages(
  client: Pick<TraffitClient, 'get'>,
  request: ListRequest,
  caller: Caller,
  limits?: CursorLimits,
): AsyncGenerator<ListPage | NoListing> {
  const guard = new PageFollower(limits)
  const { path, isPublic = false, filter = null, direction = 'ASC' } = request
  for (let number = 1; ; number++) {
    const get: GetRequest = { path, isPublic, page: { number, filter, direction } }
    const answer = await client.get(get, caller)
    if (answer.kind !== 'ok') {
      if (number > 1)
        throw new TidemarkError('PROVIDER_REFUSED', `${answer.message} The pages before it were answered.`)
      yield { answer, rows: null }
      return
    }
    const what = `GET ${path} page ${number}`
    if (!Array.isArray(answer.json)) throw answerInvalid(what, 'the answer is no list')
    const advance = guard.advance(what, answer.json, pageInfo(answer.answer))
    if (advance === 'repeated') return
    yield { answer, rows: answer.json, isLast: advance === 'end' }
    if (advance === 'end') return
  }
}

/** All pages of a short listing, or what kept it from being read. */
export async function listAll(
  client: Pick<TraffitClient, 'get'>,
  request: ListRequest,
  caller: Caller,
  limits: CursorLimits,
): Promise<{ readonly pages: readonly ListPage[]; readonly refusal: GetAnswer | null }> {
  const pages: ListPage[] = []
  for await (const page of listPages(client, request, caller, limits)) {
    if (page.rows === null) return { pages, refusal: page.answer }
    pages.push(page)
  }
  return { pages, refusal: null }
}
