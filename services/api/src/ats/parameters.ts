import { statesNow } from '@tidemark/projection'
import type { Scope } from '../auth.ts'
import type { Query } from '../params.ts'
import { createWhere } from '../sql.ts'
import { ENDPOINTS, type Endpoint } from './endpoints.ts'

/** What every listing takes, as Kombo's (kombo.dev, "Get jobs" and its siblings), and `as_of` of our own. */
const COMMON = [
  'cursor',
  'page_size',
  'updated_after',
  'include_deleted',
  'ignore_unsupported_filters',
  'ids',
  'remote_ids',
  'as_of',
] as const

const EVERYTHING: Scope = { name: null, integrations: undefined, models: undefined, write: false }

/** Parameters of a listing: the common ones, and those that its filters look at when they are given a query to read. */
export function listingParameters({ filters }: Pick<Endpoint, 'filters'>): string[] {
  const names = new Set<string>(COMMON)
  const query: Query = new Proxy(
    {},
    {
      get: (_, name) => {
        names.add(String(name))
      },
    },
  )
  for (const filter of filters) filter(query, createWhere(), statesNow('probe'), EVERYTHING)
  return [...names]
}

/** Parameters of every listing by its path. */
export const LISTING_PARAMETERS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.entries(ENDPOINTS).map(([path, endpoint]) => [`/v1/ats/${path}`, listingParameters(endpoint)]),
)
