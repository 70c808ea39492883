/** Whether a source may read what it is configured to read. */
import { TidemarkError } from '@tidemark/base'
import type { AccessCheck } from '@tidemark/connector'
import type { KnitClient } from './client.ts'
import { isJson, textOf } from './json.ts'
import { STREAM_MODELS } from './streams.ts'
import type { SyncCall } from './syncs.ts'

/** The category of applicant tracking systems. */
const CATEGORY = 'ATS'

export interface ScopeCheck {
  readonly state: 'active' | 'inactive' | 'other_category' | 'unknown'
  /** The connected tool, such as `workable`; null where Knit does not say. */
  readonly app: string | null
  /** One sentence: what was found, and what to do where it is not enough. */
  readonly message: string
}

/**
 * Asks Knit whether the integration is connected, active, and an ATS. Throws as {@link KnitClient.call} does, so PROVIDER_AUTHENTICATION for
 * a wrong key and PROVIDER_REFUSED for an integration that the account does not have.
 */
export async function checkScope(client: Pick<KnitClient, 'call'>, call: SyncCall): Promise<ScopeCheck> {
  const { value: apps } = await client.call({ ...call, method: 'GET', name: 'integration.details' }, readApps)
  const { integrationId } = call
  const app = apps.find((each) => each.integrationId === integrationId)
  if (app === undefined) {
    const message = `Knit knows no app behind the integration ${integrationId}. Have the customer connect it again.`
    return { state: 'unknown', app: null, message }
  }
  const name = app.id ?? 'an unnamed app'
  if (app.category !== null && app.category.toUpperCase() !== CATEGORY) {
    const message = `${integrationId} is ${name} of the category ${app.category}; only ${CATEGORY} is read. Remove it from this source.`
    return { state: 'other_category', app: app.id, message }
  }
  if (!app.isActive) {
    const message = `${integrationId} (${name}) is connected but not active. Activate it in the Knit dashboard.`
    return { state: 'inactive', app: app.id, message }
  }
  return { state: 'active', app: app.id, message: `${integrationId} (${name}) is active.` }
}

/**
 * Which models the account may read of the integration: all or none, because Knit has no permissions of its own, and what the connected tool
 * withholds shows only in the records. Throws PROVIDER_AUTHENTICATION, and PROVIDER_UNAVAILABLE where it cannot be told.
 */
export async function checkAccess(client: Pick<KnitClient, 'call'>, call: SyncCall): Promise<readonly AccessCheck[]> {
  const problem = await problemOf(client, call)
  const models = new Set(Object.values(STREAM_MODELS).flat())
  return Array.from(models, (model) => ({ model, ok: problem === null, missing: null, message: problem }))
}

async function problemOf(client: Pick<KnitClient, 'call'>, call: SyncCall): Promise<string | null> {
  try {
    const { state, message } = await checkScope(client, call)
    return state === 'active' ? null : message
  } catch (error) {
    if (error instanceof TidemarkError && error.code === 'PROVIDER_REFUSED') return error.message
    throw error
  }
}

interface App {
  readonly id: string | null
  readonly category: string | null
  readonly integrationId: string | null
  readonly isActive: boolean
}

function readApps(data: unknown): readonly App[] {
  const apps = isJson(data) ? data['apps'] : undefined
  if (!Array.isArray(apps)) throw new RangeError('Knit answered without a list `data.apps`')
  return apps.filter(isJson).map((app) => ({
    id: textOf(app['id']),
    category: textOf(app['category']),
    integrationId: textOf(app['integrationId']),
    isActive: app['isActive'] === true,
  }))
}
