/**
 * Paging by the `Link` header. Only the page numbers of its URLs are used: a token never follows a URL that an answer
 * names.
 */
import { answerInvalid } from './errors.ts'

export interface CursorLimits {
  /** Pages of one listing. At 50 rows a page the default admits two million rows. */
  readonly pagesMax: number
}

export const CURSOR_LIMITS: CursorLimits = { pagesMax: 40_000 }

interface Links {
  /** Page number of `rel="next"`; null where its URL names none. */
  readonly next?: number | null
  readonly last?: number | null
}

/** The page numbers of a `Link` header: comma-separated `<URL>; rel="…"`. Anything else in it is passed over. */
export function parseLinks(header: string | undefined): Links {
  const links: { next?: number | null; last?: number | null } = {}
  for (const [, url = '', parameters = ''] of (header ?? '').matchAll(/<([^<>]*)>([^<]*)/g)) {
    const rels = /;\s*rel\s*=\s*"?([^";,]*)"?/i.exec(parameters)?.[1]?.toLowerCase().split(/\s+/) ?? []
    if (rels.includes('next')) links.next = pageOf(url)
    if (rels.includes('last')) links.last = pageOf(url)
  }
  return links
}

function pageOf(url: string): number | null {
  const text = URL.parse(url, 'https://api.hrworks.de')?.searchParams.get('page') ?? ''
  return /^\d{1,9}$/.test(text) ? Number(text) : null
}

/**
 * The page that follows, or null after the last one. A listing without the header has one page. `last` decides where it
 * is given, because it is the one relation that was observed, and a listing that is taken to end too early would look
 * like a mass deletion; else there is a further page exactly if `next` is given. Throws PROVIDER_ANSWER_INVALID when
 * the listing leads elsewhere than to the page that follows.
 */
export function nextPage(header: string | undefined, page: number, what: string): number | null {
  const { next, last } = parseLinks(header)
  if (typeof last === 'number' ? page >= last : next === undefined) return null
  if (typeof next === 'number' && next !== page + 1)
    throw answerInvalid(what, `the listing names page ${next} as the one after page ${page}`)
  return page + 1
}
