/** Refuses query parameters that a route does not know, which would otherwise change nothing and go unnoticed. */
import type { FastifyInstance } from 'fastify'
import { inputInvalid } from './errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Query parameters of the route. Absent: not checked. */
    parameters?: readonly string[]
  }
}

/** Config of a route that takes no query parameter. */
export const NO_PARAMETERS = { parameters: [] } as const

/** Parameters for the routes registered here from now on, by their paths; a route's own config stands above. */
export function declareParameters(app: FastifyInstance, byPath: Readonly<Record<string, readonly string[]>>): void {
  app.addHook('onRoute', (route) => {
    const parameters = byPath[route.url]
    // A route of refuseOtherMethods has several methods: it says which are allowed, whatever the parameters are.
    if (parameters && !Array.isArray(route.method)) route.config = { parameters, ...route.config }
  })
}

/** Checks the parameters of every route registered here that declares them, and that no address holds what no database text can. */
export function checkParameters(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    if (request.url.includes('%00')) throw inputInvalid('The address holds U+0000 (%00), which no id or value has.')
    const { parameters } = request.routeOptions.config
    if (!parameters) return
    const unknown = Object.keys(request.query as object).find((name) => !parameters.includes(name))
    if (unknown !== undefined) throw inputInvalid(unknownParameter(unknown, parameters))
  })
}

/** What a client is told of a parameter that is not among the known ones, with the one that was probably meant. */
export function unknownParameter(name: string, known: readonly string[]): string {
  const shown = name.length > SHOWN_CHARS ? `${name.slice(0, SHOWN_CHARS)}…` : name
  const head = `There is no parameter "${shown}" here.`
  if (name === 'included_deleted' && known.includes('include_deleted')) {
    return `${head} It is a misspelling that an example of Kombo's documentation has; the name is include_deleted.`
  }
  const meant = closest(name, known)
  if (meant !== undefined) return `${head} Did you mean ${meant}?`
  return known.length === 0 ? `${head} This route takes none.` : `${head} Known are ${[...known].sort().join(', ')}.`
}

const SHOWN_CHARS = 60

/** The known name with the fewest edits, when it is near: up to a third of its letters, capitals, `_` and `[]` aside. */
function closest(name: string, known: readonly string[]): string | undefined {
  const wanted = plain(name)
  let found: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of known) {
    const target = plain(candidate)
    // Lengths that differ by more cannot be near; this also bounds the work a long name makes.
    const most = Math.floor(target.length / 3)
    if (Math.abs(target.length - wanted.length) > most) continue
    const count = edits(wanted, target)
    if (count <= most && count < least) {
      found = candidate
      least = count
    }
  }
  return found
}

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '')

/** Levenshtein's distance: letters to insert, delete or replace. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...b].entries()) {
      const replaced = (row[j] as number) + (letter === other ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] as number) + 1, (next[j] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
