/** What an API client of TRAFFIT may read: one request of one row for each scope. */
import type { AccessCheck } from '@tidemark/connector'
import type { ModelName } from '@tidemark/model'
import type { Caller, TraffitClient } from './client.ts'

/** A listing that each scope opens. */
const PROBES = {
  user: '/users/',
  recruitment: '/recruitments/',
  workflow: '/workflows',
  employee: '/employees/',
  source: '/sources',
  dictionary: '/dictionaries',
} as const

type Scope = keyof typeof PROBES

interface Need {
  readonly model: ModelName
  readonly needs: readonly Scope[]
  /** Scopes that some fields need, with what is not delivered without them. */
  readonly wants?: Readonly<Partial<Record<Scope, string>>>
}

const NEEDS: readonly Need[] = [
  { model: 'users', needs: ['user'] },
  { model: 'jobs', needs: ['recruitment'] },
  { model: 'job-postings', needs: ['recruitment'] },
  { model: 'job-stages', needs: ['recruitment', 'workflow'] },
  { model: 'job-hiring-team', needs: ['recruitment'] },
  { model: 'application-stages', needs: ['workflow'] },
  {
    model: 'candidates',
    needs: ['employee'],
    wants: {
      source: 'their source is not delivered',
      dictionary: 'their source is delivered only where it has a label',
    },
  },
  {
    model: 'applications',
    needs: ['employee'],
    wants: { workflow: 'a state that rejects is only known by its type' },
  },
  { model: 'tags', needs: ['employee'] },
  { model: 'candidate-tags', needs: ['employee'] },
]

/**
 * Asks with every scope for one row and says, model by model, what is missing. A model that is read without some of its fields is all right, and what they
 * miss is said. That a missing scope is answered with 403 is inferred. A listing that cannot
 * be judged (404, 400) counts as missing. Throws PROVIDER_AUTHENTICATION where the client itself is refused, and what the client throws.
 */
export async function checkAccess(client: Pick<TraffitClient, 'get'>, caller: Caller): Promise<readonly AccessCheck[]> {
  const said = new Map<Scope, string>()
  for (const [scope, path] of Object.entries(PROBES) as [Scope, string][]) {
    const answer = await client.get({ path, page: { number: 1, size: 1 } }, caller)
    if (answer.kind !== 'ok') said.set(scope, answer.message)
  }
  return NEEDS.map((need) => accessOf(need, said))
}

function accessOf({ model, needs, wants = {} }: Need, said: ReadonlyMap<Scope, string>): AccessCheck {
  const lacking = needs.filter((scope) => said.has(scope))
  const wanting = (Object.keys(wants) as Scope[]).filter((scope) => said.has(scope))
  const texts = [
    ...lacking.map((scope) => `${model} are not read without the scope \`${scope}\` (${said.get(scope)})`),
    ...wanting.map((scope) => `without the scope \`${scope}\` ${wants[scope]} (${said.get(scope)})`),
  ]
  const missing = [...lacking, ...wanting].join(', ')
  return {
    model,
    ok: lacking.length === 0,
    missing: missing === '' ? null : missing,
    message: texts.length === 0 ? null : `${texts.join('; ')}. Add it to the API client in TRAFFIT's settings.`,
  }
}
