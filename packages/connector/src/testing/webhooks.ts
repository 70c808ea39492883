/** Webhooks are proved before they are read, and ask for what the source has. For tests only. */
import { TidemarkError } from '@tidemark/base'
import { expect, it } from 'vitest'
import type { Source, WebhookEffect, WebhookReading, WebhookRequest } from '../connector.ts'
import { parseJson } from '../http/body.ts'
import { expectNormal } from './mapping.ts'
import { hasWebhooks, type Rig } from './rig.ts'
import { ODD_VALUES, pathsIn, withValue } from './rows.ts'

/** What may stand where a proof is expected. */
const SPOILED: readonly ((proof: string) => string)[] = [
  () => '',
  () => 'x',
  (proof) => proof.slice(0, -1),
  (proof) => `${proof}x`,
  (proof) => proof.repeat(2),
  (proof) => 'ü'.repeat(proof.length),
  (proof) => '!'.repeat(proof.length),
  (proof) => '='.repeat(proof.length),
]

/** Bodies that no provider sends. */
const BODIES = [
  '',
  'null',
  '17',
  '"text"',
  '[]',
  '{}',
  '{"type":"__proto__"}',
  '{"type":"constructor"}',
  '{"a":',
  '\xff',
]

export function webhookCases(rig: Rig): void {
  it('believes nothing where the provider sends no webhooks', ({ skip }) => {
    skip(hasWebhooks(rig), 'it sends some')
    for (const body of BODIES) {
      const request = { headers: {}, query: {}, rawBody: Buffer.from(body, 'latin1') }
      expect(rig.source.verifyWebhook(request)).toBe(false)
    }
  })

  it('accepts a genuine webhook and refuses it with a changed byte or without what proves it', () => {
    const { source, standIn } = rig
    for (const request of standIn.webhooks(standIn.integrationId)) {
      expect(source.verifyWebhook(request)).toBe(true)
      const changed = Buffer.from(request.rawBody)
      changed[changed.length - 2] = (changed[changed.length - 2] ?? 0) ^ 1
      expect(source.verifyWebhook({ headers: {}, query: {}, rawBody: request.rawBody })).toBe(false)
      if (Object.keys(request.query).length === 0)
        expect(source.verifyWebhook({ ...request, rawBody: changed })).toBe(false)
    }
  })

  it('refuses a proof of another length or of other letters, and throws for none', ({ skip }) => {
    skip(!hasWebhooks(rig), 'the provider sends no webhooks')
    const { source, standIn } = rig
    const request = rig.webhook(standIn.integrationId)
    for (const spoil of SPOILED) expect(source.verifyWebhook(spoiled(request, spoil)), String(spoil)).toBe(false)
    for (const body of BODIES)
      expect(() => source.verifyWebhook({ ...request, rawBody: Buffer.from(body, 'latin1') }), body).not.toThrow()
  })

  it('asks for streams, models and point reads that the source has', ({ skip }) => {
    skip(!hasWebhooks(rig), 'the provider sends no webhooks')
    const { source, standIn } = rig
    const readings = standIn.webhooks(standIn.integrationId).map((request) => {
      const reading = source.readWebhook(request)
      expect(reading.integrationId).toBe(source.integrationOf(request))
      expect(reading.eventName).not.toBe('')
      expect(reading.effects.length).toBeGreaterThan(0)
      for (const effect of reading.effects) {
        expectPossible(source, effect)
        if (effect.kind === 'records') for (const record of effect.mapped.records) expectNormal(record)
      }
      return reading
    })
    const kinds = readings.flatMap(({ effects }) => effects.map(({ kind }) => kind))
    expect(kinds.filter((kind) => kind !== 'ignored')).not.toEqual([])
  })

  it('reads a webhook that makes no sense as nothing, or says so', () => {
    const { source, standIn } = rig
    for (const request of standIn.webhooks(standIn.integrationId))
      for (const rawBody of [...BODIES.map((body) => Buffer.from(body, 'latin1')), ...oddBodies(request)]) {
        const odd = { ...request, rawBody }
        expect(() => source.integrationOf(odd), rawBody.toString()).not.toThrow()
        for (const effect of reading(source, odd)?.effects ?? []) expectPossible(source, effect)
      }
  })
}

/** The request with every value that may prove it changed. */
function spoiled({ rawBody, headers, query }: WebhookRequest, spoil: (proof: string) => string): WebhookRequest {
  const all = (values: WebhookRequest['headers']): Record<string, string> =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, spoil(value ?? '')]))
  return { rawBody, headers: all(headers), query: all(query) }
}

/** The body with each of its members changed or taken away. */
function oddBodies({ rawBody }: WebhookRequest): Buffer[] {
  const body = parseJson(rawBody)
  const paths = pathsIn(body, 4).slice(0, 60)
  const odd = paths.flatMap((path) => [...ODD_VALUES, undefined].map((value) => withValue(body, path, value)))
  return odd.map((json) => Buffer.from(JSON.stringify(json)))
}

/** null: it says that it cannot be read. Any other failure is thrown. */
function reading(source: Source, request: WebhookRequest): WebhookReading | null {
  try {
    return source.readWebhook(request)
  } catch (error) {
    const body = Buffer.from(request.rawBody).toString()
    if (!(error instanceof TidemarkError) || error.code !== 'WEBHOOK_UNMAPPABLE') expect.fail(`${body}: ${error}`)
    return null
  }
}

const KINDS: readonly WebhookEffect['kind'][] = [
  ...(['fetch', 'read', 'records', 'pushed_run', 'integration', 'provider_sync', 'ignored'] as const),
]

function expectPossible(source: Source, effect: WebhookEffect): void {
  expect(KINDS, 'kinds of effects (is a type looked up without Object.hasOwn?)').toContain(effect.kind)
  const { streams, pointReads, modelsOf } = source
  if (effect.kind === 'fetch') for (const stream of effect.streams) expect(streams).toContain(stream)
  if (effect.kind === 'read') {
    expect([...(pointReads?.models ?? [])], 'models of pointReads').toContain(effect.model)
    expect(effect.remoteKeys).not.toEqual([])
    for (const key of effect.remoteKeys) expect(key).not.toBe('')
  }
  if (effect.kind === 'pushed_run') expect(streams).toContain(effect.run.stream)
  if (effect.kind !== 'records') return
  const models = streams.flatMap((stream) => modelsOf(stream))
  for (const record of effect.mapped.records) expect(models).toContain(record.model)
}
