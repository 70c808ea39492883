/** Webhooks are proved before they are read. For tests only. */
import { expect, it } from 'vitest'
import type { Rig } from './rig.ts'

export function webhookCases(rig: Rig): void {
  it('accepts a genuine webhook and refuses it with a changed byte or without what proves it', () => {
    const { source, standIn } = rig
    const request = standIn.webhook(standIn.integrationId)
    expect(source.verifyWebhook(request)).toBe(true)
    const changed = Buffer.from(request.rawBody)
    changed[changed.length - 2] = (changed[changed.length - 2] ?? 0) ^ 1
    expect(source.verifyWebhook({ headers: {}, query: {}, rawBody: request.rawBody })).toBe(false)
    if (Object.keys(request.query).length === 0)
      expect(source.verifyWebhook({ ...request, rawBody: changed })).toBe(false)
  })
}
