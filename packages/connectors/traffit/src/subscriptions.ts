/** Registering and removing the subscriptions of webhooks at TRAFFIT. Idempotent: what is as it should be is left alone. */
import { TidemarkError } from '@tidemark/base'
import { isJson, type Json } from '@tidemark/connector/mapping'
import type { Caller, GetAnswer, TraffitClient } from './client.ts'
import type { CursorLimits } from './cursor.ts'
import { idOf, textOf } from './json.ts'
import { listPages } from './listing.ts'
import { EVENTS, type EventName, eventOf } from './webhook.ts'

export interface SubscriptionChange {
  /** Types that were subscribed to. */
  readonly created: readonly string[]
  /** Types that were subscribed to already. */
  readonly kept: readonly string[]
  /** Ids of subscriptions that were removed: doubles, and those with another secret. */
  readonly removed: readonly string[]
  /** Events of this connector that the tenant does not offer. */
  readonly notOffered: readonly EventName[]
}

interface Subscription {
  readonly id: string
  readonly type: string
  readonly url: string
}

const LIMITS: CursorLimits = { pagesMax: 100 }

/**
 * Subscribes to every event that the tenant offers and this connector knows, at `targetUrl` with `?secret=` (the source's `webhook_secret`), and removes
 * older subscriptions of the same address. New ones are made first, so that no event falls between. A creation whose reply was lost is found and not repeated: doubles
 * are removed at the end. Throws PROVIDER_REFUSED where the scope `webhook` is missing.
 */
export async function ensureSubscriptions(
  client: Pick<TraffitClient, 'get' | 'write'>,
  targetUrl: string,
  secret: string,
  caller: Caller = { signal: new AbortController().signal },
): Promise<SubscriptionChange> {
  const url = withSecret(targetUrl, secret)
  const offered = await offeredTypes(client, caller)
  const before = await subscriptionsAt(client, targetUrl, caller)
  const standing = new Set(before.filter((one) => one.url === url).map(({ type }) => type))
  const missing = [...offered.keys()].filter((type) => !standing.has(type))
  for (const type of missing) mustSucceed(await client.write('POST', '/webhooks/', { type, url }, caller))
  const kept = new Set<string>()
  const removed: string[] = []
  for (const one of await subscriptionsAt(client, targetUrl, caller)) {
    if (one.url === url && offered.has(one.type) && !kept.has(one.type)) kept.add(one.type)
    else removed.push(await remove(client, one, caller))
  }
  const events = new Set(offered.values())
  return {
    created: missing,
    kept: [...standing].filter((type) => kept.has(type)),
    removed,
    notOffered: EVENTS.filter((event) => !events.has(event)),
  }
}

/** Removes every subscription of the address, whatever its secret. Returns their ids. */
export async function removeSubscriptions(
  client: Pick<TraffitClient, 'get' | 'write'>,
  targetUrl: string,
  caller: Caller = { signal: new AbortController().signal },
): Promise<readonly string[]> {
  const removed: string[] = []
  for (const one of await subscriptionsAt(client, targetUrl, caller)) removed.push(await remove(client, one, caller))
  return removed
}

/** The address with the secret; other parameters of it stay. */
function withSecret(targetUrl: string, secret: string): string {
  const url = new URL(targetUrl)
  url.searchParams.set('secret', secret)
  return url.href
}

/** The address of a subscription without its secret, to tell ours from those of others. */
function addressOf(text: string): string | null {
  const url = URL.parse(text)
  url?.searchParams.delete('secret')
  return url?.href ?? null
}

/** The tenant's own names of the events, with ours. A row is `{id, name}` or a text (inferred). */
async function offeredTypes(client: Pick<TraffitClient, 'get'>, caller: Caller): Promise<Map<string, EventName>> {
  const offered = new Map<string, EventName>()
  for (const row of await rowsOf(client, '/webhooks/types', caller)) {
    const name = isJson(row) ? (textOf(row['name']) ?? textOf(row['type'])) : textOf(row)
    const event = name === null ? null : eventOf(name)
    if (name !== null && event !== null) offered.set(name, event)
  }
  return offered
}

async function subscriptionsAt(
  client: Pick<TraffitClient, 'get'>,
  targetUrl: string,
  caller: Caller,
): Promise<Subscription[]> {
  const address = addressOf(targetUrl)
  const rows = await rowsOf(client, '/webhooks/', caller)
  return rows.flatMap((row) => (isJson(row) ? subscriptionOf(row) : [])).filter((one) => addressOf(one.url) === address)
}

function subscriptionOf(row: Json): Subscription[] {
  const id = idOf(row['id'])
  const type = isJson(row['type']) ? textOf(row['type']['name']) : textOf(row['type'])
  const url = textOf(row['url'])
  return id === null || type === null || url === null ? [] : [{ id, type, url }]
}

async function rowsOf(client: Pick<TraffitClient, 'get'>, path: string, caller: Caller): Promise<unknown[]> {
  const rows: unknown[] = []
  for await (const page of listPages(client, { path }, caller, LIMITS)) {
    if (page.rows === null) throw refusal(page.answer)
    rows.push(...page.rows)
  }
  return rows
}

async function remove(client: Pick<TraffitClient, 'write'>, { id }: Subscription, caller: Caller): Promise<string> {
  const answer = await client.write('DELETE', `/webhooks/${id}`, null, caller)
  // Somebody else removed it, or the reply to our own removal was lost.
  if (answer.kind !== 'absent') mustSucceed(answer)
  return id
}

function mustSucceed(answer: GetAnswer): void {
  if (answer.kind !== 'ok') throw refusal(answer)
}

const refusal = (answer: GetAnswer): TidemarkError =>
  new TidemarkError('PROVIDER_REFUSED', `${answer.message} Subscribing to webhooks needs the scope \`webhook\`.`, {
    fields: { status: answer.answer.status },
  })
