import { Counter, Histogram, type Registry } from 'prom-client';

export type WebhookOutcome =
  | 'accepted'
  | 'doorbell'
  | 'duplicate'
  | 'forged'
  | 'malformed'
  | 'too-large'
  | 'media-type'
  | 'full'
  | 'unavailable'
  | 'unknown-channel';

/** The public listener's figures. Label values are channels of the configuration, never what a sender wrote. */
export class HttpMetrics {
  readonly webhooks: Counter<'channel' | 'outcome'>;
  readonly webhookSeconds: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    this.webhooks = new Counter({
      name: 'stockmesh_webhooks_total',
      help: 'Deliveries received, by how they were answered',
      labelNames: ['channel', 'outcome'],
      registers,
    });
    this.webhookSeconds = new Histogram({
      name: 'stockmesh_webhook_answer_seconds',
      help: 'From the first byte of a delivery to its answer',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers,
    });
  }
}
