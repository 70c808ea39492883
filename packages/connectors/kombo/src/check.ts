import { classify } from '@tidemark/base'
import type { AccessCheck, FetchOptions } from '@tidemark/connector'
import type { KomboClient } from './client.ts'
import { STREAM_MODELS } from './mapping.ts'

type Options = Pick<FetchOptions, 'integrationId' | 'signal' | 'onRetry'>

/**
 * Asks for one row of every listing. What a listing shows of other models comes with it, so all of its models stand or fall with it. A listing
 * that the tool behind the integration does not have is none that may not be read, and is said so.
 */
export async function checkAccess(client: Pick<KomboClient, 'list'>, options: Options): Promise<AccessCheck[]> {
  const checks: AccessCheck[] = []
  for (const [stream, models] of Object.entries(STREAM_MODELS)) {
    const found = await checkStream(client, stream, options)
    checks.push(...models.map((model) => ({ model, ...found })))
  }
  return checks
}

async function checkStream(
  client: Pick<KomboClient, 'list'>,
  stream: string,
  options: Options,
): Promise<Omit<AccessCheck, 'model'>> {
  try {
    const answer = await client.list({ path: `/ats/${stream}`, query: { page_size: '1' }, ...options })
    if (answer.kind === 'page') return { ok: true, missing: null, message: null }
    return { ok: false, missing: null, message: answer.message }
  } catch (thrown) {
    const error = classify(thrown)
    // Says something of this listing only; every other failure is one of the whole integration.
    if (error.fields['provider_code'] !== 'INTEGRATION.PERMISSION_MISSING') throw error
    return { ok: false, missing: `ats/${stream}`, message: error.message }
  }
}
