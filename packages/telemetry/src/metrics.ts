import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** The counters of all services, in one registry that `/metrics` prints. */
export interface Metrics {
  readonly registry: Registry
  readonly webhooks: Counter<'source' | 'outcome'>
  readonly spool: Gauge<'unit'>
  readonly spooled: Counter<'source' | 'outcome'>
  readonly observed: Counter<'integration' | 'model'>
  readonly processed: Counter<'outcome'>
  readonly changes: Counter<'model' | 'op'>
  readonly deadLetters: Counter<'stage' | 'code'>
  readonly projected: Counter<'model'>
  readonly lag: Gauge<'service' | 'partition'>
  readonly providerRequests: Histogram<'source' | 'stream'>
  readonly sweeps: Counter<'state'>
  readonly heldSweeps: Gauge
  readonly watermark: Gauge<'integration' | 'model'>
  readonly drift: Counter<'integration' | 'model'>
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  return {
    registry,
    webhooks: new Counter({
      name: 'tidemark_webhooks_total',
      help: 'Webhooks by outcome',
      labelNames: ['source', 'outcome'],
      registers,
    }),
    spool: new Gauge({
      name: 'tidemark_spool',
      help: 'What the webhook spool holds, in records and in bytes on disk',
      labelNames: ['unit'],
      registers,
    }),
    spooled: new Counter({
      name: 'tidemark_spooled_webhooks_total',
      help: 'Webhooks that came to the spool, by outcome: spooled, drained, refused, set_aside',
      labelNames: ['source', 'outcome'],
      registers,
    }),
    observed: new Counter({
      name: 'tidemark_observations_total',
      help: 'Observations appended',
      labelNames: ['integration', 'model'],
      registers,
    }),
    processed: new Counter({
      name: 'tidemark_processed_total',
      help: 'Observations processed by outcome',
      labelNames: ['outcome'],
      registers,
    }),
    changes: new Counter({
      name: 'tidemark_changes_total',
      help: 'Changes emitted',
      labelNames: ['model', 'op'],
      registers,
    }),
    deadLetters: new Counter({
      name: 'tidemark_dead_letters_total',
      help: 'Dead letters',
      labelNames: ['stage', 'code'],
      registers,
    }),
    projected: new Counter({
      name: 'tidemark_projected_total',
      help: 'Changes projected',
      labelNames: ['model'],
      registers,
    }),
    lag: new Gauge({
      name: 'tidemark_lag_records',
      help: 'Records not yet consumed',
      labelNames: ['service', 'partition'],
      registers,
    }),
    providerRequests: new Histogram({
      name: 'tidemark_provider_request_seconds',
      help: 'Requests to providers',
      labelNames: ['source', 'stream'],
      registers,
    }),
    sweeps: new Counter({
      name: 'tidemark_sweeps_total',
      help: 'What complete runs came to, by model: NOTHING, DELETED, HELD, UNCONFIRMED, SKIPPED',
      labelNames: ['state'],
      registers,
    }),
    heldSweeps: new Gauge({
      name: 'tidemark_held_sweeps',
      help: 'Mass deletions that wait for a decision: tidemark sync held',
      registers,
    }),
    watermark: new Gauge({
      name: 'tidemark_watermark_seconds',
      help: 'Unix time up to which every change of the provider is in the log',
      labelNames: ['integration', 'model'],
      registers,
    }),
    drift: new Counter({
      name: 'tidemark_drift_records_total',
      help: 'Changes that only a scheduled full pass found: what lost webhooks would have cost',
      labelNames: ['integration', 'model'],
      registers,
    }),
  }
}
