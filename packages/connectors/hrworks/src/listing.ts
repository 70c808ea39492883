import { TidemarkError } from '@tidemark/base'
import { type HttpAnswer, PageGuard } from '@tidemark/connector/http'
import type { Effort, HrworksClient, Query } from './client.ts'
import { CURSOR_LIMITS, type CursorLimits, nextPage } from './cursor.ts'

/** A list of the API. */
export interface Listing {
  readonly path: string
  readonly query?: Query
  /** The rows of an answer; undefined when it is not what is documented. */
  readonly rows: (json: unknown) => readonly unknown[] | undefined
}

export type ListPage =
  | { readonly kind: 'rows'; readonly answer: HttpAnswer; readonly rows: readonly unknown[] }
  | { readonly kind: 'forbidden'; readonly answer: HttpAnswer; readonly message: string }

/**
 * The pages of a list in order, until the last. A permission that is missing is told instead of the first page; one
 * that is lost on the way throws PROVIDER_REFUSED, as a list that does not exist does.
 */
export async function* list(
  client: HrworksClient,
  { path, query = [], rows }: Listing,
  effort: Effort,
  limits: CursorLimits = CURSOR_LIMITS,
): AsyncGenerator<ListPage> {
  const what = `GET ${path} of ${client.integration}`
  const guard = new PageGuard({ provider: 'HR WORKS', ...limits })
  for (let page: number | null = 1; page !== null; ) {
    const paged: Query = page === 1 ? query : [...query, ['page', String(page)]]
    const { signal, onRetry, isBulk } = effort
    const answer = await client.read({ path, query: paged, parse: rows, signal, onRetry, isBulk })
    if (answer.kind === 'forbidden' && page === 1) {
      yield { kind: 'forbidden', answer, message: answer.message }
      return
    }
    if (answer.kind !== 'ok')
      throw new TidemarkError('PROVIDER_REFUSED', `${answer.message} Check base_url and the key pair.`)
    page = nextPage(answer.headers['link'], page, what)
    guard.advance(what, answer.value, page)
    yield { kind: 'rows', answer, rows: answer.value }
  }
}
