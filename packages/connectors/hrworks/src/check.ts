/** Tells before the first run, model by model, what the key pair may not read. */
import type { AccessCheck } from '@tidemark/connector'
import type { ModelName } from '@tidemark/model'
import type { Effort, HrworksClient, Query } from './client.ts'
import { permissionFor } from './errors.ts'
import { type Listing, list } from './listing.ts'
import { LISTINGS } from './streams.ts'

type Resource = keyof typeof LISTINGS

interface Need {
  readonly model: ModelName
  readonly needs: readonly Resource[]
  /** Resources that only some fields come from. */
  readonly fields?: Readonly<Partial<Record<Resource, string>>>
}

const NEEDS: readonly Need[] = [
  { model: 'users', needs: ['persons'], fields: { masterData: 'email' } },
  {
    model: 'jobs',
    needs: ['posts'],
    fields: { organizationUnits: 'department', persons: 'contact_id', masterData: 'contact_id' },
  },
  { model: 'candidates', needs: ['applicants'] },
  { model: 'applications', needs: ['jobApplications'] },
  { model: 'application-stages', needs: ['jobApplications'] },
  { model: 'job-stages', needs: ['jobApplications', 'posts'] },
]

const RESOURCES: readonly Resource[] = [
  ...new Set(NEEDS.flatMap(({ needs, fields = {} }) => [...needs, ...(Object.keys(fields) as Resource[])])),
]

/**
 * Reads the first page of every resource, the cheapest request that needs its permission. Throws
 * PROVIDER_AUTHENTICATION when the key pair itself is refused, and what a read throws: an answer that is not given says
 * nothing about permissions.
 */
export async function checkAccess(client: HrworksClient, effort: Effort): Promise<readonly AccessCheck[]> {
  const forbidden = new Set<Resource>()
  for (const resource of RESOURCES) {
    const listing: Listing = LISTINGS[resource]
    // Of a list that can hold inactive records too, the active ones are fewer.
    const query: Query = listing.query?.length ? [['onlyActive', 'true']] : []
    const first = await list(client, { ...listing, query }, effort).next()
    if (first.value?.kind === 'forbidden') forbidden.add(resource)
  }
  return NEEDS.map((need) => accessOf(need, forbidden))
}

function accessOf({ model, needs, fields = {} }: Need, forbidden: ReadonlySet<Resource>): AccessCheck {
  const lacking = needs.filter((resource) => forbidden.has(resource))
  const optional = (Object.keys(fields) as Resource[]).filter((resource) => forbidden.has(resource))
  const resources = [...lacking, ...optional]
  if (resources.length === 0) return { model, ok: true, missing: null, message: null }
  const missing = resources.map((resource) => permissionFor(LISTINGS[resource].path)).join(', ')
  const advice = `an administrator allows the key pair to read ${missing} at Basics, Integrations, HR WORKS-API`
  if (lacking.length > 0) return { model, ok: false, missing, message: `${model} cannot be read: ${advice}.` }
  const lost = [...new Set(optional.map((resource) => fields[resource]))].join(', ')
  return { model, ok: true, missing, message: `${model} can be read, but without ${lost}: ${advice}.` }
}
