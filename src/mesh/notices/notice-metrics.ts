import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Figures of the notices that go out to the merchant's own systems. Label values are ids of the configuration. */
export class NoticeMetrics {
  readonly deliveries: Counter<'endpoint' | 'outcome'>;
  readonly deliverySeconds: Histogram<'endpoint'>;
  readonly dead: Gauge<'endpoint'>;
  readonly disabled: Gauge<'endpoint'>;
  readonly waiting: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.deliveries = new Counter({
      name: 'stockmesh_notice_deliveries_total',
      help: 'Attempts to deliver a notice, by what became of them',
      labelNames: ['endpoint', 'outcome'],
      registers,
    });
    this.deliverySeconds = new Histogram({
      name: 'stockmesh_notice_delivery_seconds',
      help: 'From handing a notice to the queue of an endpoint to its acceptance',
      labelNames: ['endpoint'],
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 30, 300, 3_600, 36_000],
      registers,
    });
    this.dead = new Gauge({
      name: 'stockmesh_notice_dead_letters',
      help: 'Notices that could not be delivered and are kept',
      labelNames: ['endpoint'],
      registers,
    });
    this.disabled = new Gauge({
      name: 'stockmesh_notice_endpoint_disabled',
      help: '1 while an endpoint is not called because it failed for too long',
      labelNames: ['endpoint'],
      registers,
    });
    this.waiting = new Gauge({
      name: 'stockmesh_notice_outbox',
      help: 'Notices booked and not yet in the queues of their endpoints',
      registers,
    });
  }
}
