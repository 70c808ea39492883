/** Kombo's general reads: whose key this is, which tools there are, and how one integration is. */
import { isoExpression, isoTime, qualified } from '@tidemark/projection'
import type { FastifyInstance } from 'fastify'
import { allowsIntegration, type Scope } from '../auth.ts'
import { scopeOf, type VisibleIntegration, visibleIntegration } from '../context.ts'
import type { ApiDeps, SetupState } from '../deps.ts'
import { inputInvalid, refuseOtherMethods } from '../errors.ts'
import { NO_PARAMETERS } from '../parameters.ts'
import { connectionOf, setupOf } from '../setup.ts'
import { availableModels, features, modelsOf, readModels } from './coverage.ts'
import { assetsOf, KNOWN_TOOLS, type Tool, toolOf } from './tools.ts'

const CATEGORIES = ['hris', 'ats', 'assessment', 'lms']

/** `GET /v1/check-api-key`, `/v1/tools/{category}` and `/v1/integrations/{id}`, each within what the key may see. */
export function registerGeneral(app: FastifyInstance, deps: ApiDeps): void {
  const config = NO_PARAMETERS
  app.get('/v1/check-api-key', { config }, async (request) => {
    // Keys have no environments here. The key's name tells whoever asks which of their keys this is.
    return { status: 'success', data: { environment_id: scopeOf(request).name ?? 'local' } }
  })
  app.get<{ Params: { readonly category: string } }>('/v1/tools/:category', { config }, async (request) => {
    const { category } = request.params
    if (!CATEGORIES.includes(category)) {
      throw inputInvalid(`"${category}" is not a category of tools; there are ${CATEGORIES.join(', ')}.`)
    }
    return { status: 'success', data: { tools: category === 'ats' ? toolList(deps, scopeOf(request)) : [] } }
  })
  app.get<{ Params: { readonly id: string } }>('/v1/integrations/:id', { config }, async (request) => {
    const scope = scopeOf(request)
    const integration = await visibleIntegration(deps, scope, request.params.id)
    const createdAt = await firstSeen(deps, integration.id)
    return { status: 'success', data: integrationBody(integration, scope, createdAt) }
  })
  for (const url of ['/v1/check-api-key', '/v1/tools/:category', '/v1/integrations/:id']) {
    refuseOtherMethods(app, url, 'GET')
  }
}

/** Known tools and those of the integrations that the key may see, with what the latter read together. */
function toolList({ status, sources }: ApiDeps, scope: Scope): object[] {
  const tools = new Map<string, Tool>(KNOWN_TOOLS.map((tool) => [tool.id, tool]))
  const models = new Map<string, Set<string>>()
  const passing = new Set<string>()
  for (const { integrationId, source, streams } of status.integrations()) {
    if (!allowsIntegration(scope, integrationId)) continue
    const tool = toolOf(integrationId)
    tools.set(tool.id, tool)
    if (sources?.get(source)?.passthrough) passing.add(tool.id)
    models.set(tool.id, new Set([...(models.get(tool.id) ?? []), ...modelsOf(streams)]))
  }
  return [...tools.values()]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((tool) => ({
      ...tool,
      internal_label: null,
      assets: assetsOf(tool),
      paid_api_details_markdown: null,
      fast_track_details_markdown: null,
      partner_only_details_markdown: null,
      connection_guide_url: null,
      coverage: {
        read_models: readModels(models.get(tool.id) ?? new Set(), scope),
        write_actions: [],
        features: features(passing.has(tool.id)),
      },
    }))
}

/** When the first change of an integration was observed; now, before there is one: Kombo's clients need a time. */
async function firstSeen({ store, schema, clock }: ApiDeps, integrationId: string): Promise<string> {
  const [row] = await store.query(
    `select ${isoExpression('min(changed_at)')} as first from ${qualified(schema, 'changes')} where integration_id = $1`,
    [integrationId],
  )
  return typeof row?.['first'] === 'string' ? row['first'] : isoTime(clock.now())
}

/** Kombo's values for what it calls setup_status. Failed checks leave an integration without data, hence incomplete. */
const SETUP_STATUS: Readonly<Record<SetupState, 'INCOMPLETE' | 'FINAL_SYNC_PENDING' | 'COMPLETED'>> = {
  READY: 'COMPLETED',
  SETUP_SYNC_PENDING: 'FINAL_SYNC_PENDING',
  SETUP_INCOMPLETE: 'INCOMPLETE',
  QA_FAILED: 'INCOMPLETE',
  INACTIVE: 'COMPLETED',
}

function integrationBody(integration: VisibleIntegration, scope: Scope, createdAt: string): object {
  const { id, status } = integration
  const tool = toolOf(id)
  const { logo_url, icon_url } = assetsOf(tool)
  return {
    id,
    tool: { ...tool, internal_label: null, logo_url, icon_url },
    category: 'ATS',
    status: connectionOf(integration),
    setup_status: SETUP_STATUS[setupOf(integration)],
    // Whose account it is, only the provider knows: the id stands for it.
    end_user: { organization_name: id.slice(id.indexOf(':') + 1), creator_email: null, origin_id: null },
    // What restricts the models here is the API key.
    scope_config: { id: scope.name ?? 'local', name: scope.name },
    data_expired_at: null,
    created_at: createdAt,
    beta: false,
    read_models: availableModels(modelsOf(status?.streams ?? []), scope),
    write_actions: [],
  }
}
