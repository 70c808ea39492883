import type { Random } from '@tidemark/base'
import type { FaultKind, FaultSpec, Faults } from '@tidemark/sandbox'

const HOUR_MS = 3_600_000

const OF_ANSWERS: readonly FaultKind[] = [
  ...(['rate_limited', 'server_error', 'html_bad_gateway', 'empty_body', 'cut_before_headers'] as const),
  ...(['cut_mid_body', 'slow', 'malformed_json', 'unmappable_record'] as const),
]
const OF_WEBHOOKS: readonly FaultKind[] = ['duplicate_webhook', 'lost_webhook', 'late_webhook']

/** Adds a fault of the answers, or of the webhooks, to come; says which. */
export function spoilHttp(faults: Faults, random: Random, more: Partial<FaultSpec> = {}): string {
  const isOfWebhooks = random.chance(0.45)
  const kind = random.pick(isOfWebhooks ? OF_WEBHOOKS : OF_ANSWERS)
  // More than six in a row are more than a client tries.
  const count = 1 + random.int(random.chance(0.3) ? 12 : 4)
  const delayMs = isOfWebhooks ? random.int(random.chance(0.3) ? 96 * HOUR_MS : HOUR_MS) : random.int(20_000)
  const page = !isOfWebhooks && random.chance(0.3) ? { page: 1 + random.int(2) } : {}
  const broken = kind === 'unmappable_record' ? { index: random.int(20), ...more } : {}
  faults.add({ kind, count, delayMs, resetSeconds: 1 + random.int(20), ...page, ...broken })
  return `${count} × ${kind}`
}
