import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { InboxEvent } from './inbox-worker.ts';

/** How deliveries fare between their answer and the ledger. */
export class InboxMetrics {
  readonly #depth: Gauge;
  readonly #waited: Histogram;
  readonly #jobs: Counter<'outcome'>;
  readonly parkedRows: Counter<'channel' | 'what'>;
  #jobsWaiting = 0;
  #waitedMs = 0;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#depth = new Gauge({
      name: 'stockmesh_inbox_jobs',
      help: 'Deliveries stored and not yet applied',
      registers,
    });
    this.#waited = new Histogram({
      name: 'stockmesh_inbox_wait_seconds',
      help: 'From storing a delivery to the start of its work',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
      registers,
    });
    this.#jobs = new Counter({
      name: 'stockmesh_inbox_jobs_total',
      help: 'Deliveries worked on, by what became of them',
      labelNames: ['outcome'],
      registers,
    });
    this.parkedRows = new Counter({
      name: 'stockmesh_parked_rows_total',
      help: 'Orders, lines and deliveries set aside, repeats included',
      labelNames: ['channel', 'what'],
      registers,
    });
  }

  /** How far the ledger is behind the deliveries we have: what the newest one waited, while others wait. */
  get lagMs(): number {
    return this.#jobsWaiting === 0 ? 0 : this.#waitedMs;
  }

  observe(event: InboxEvent): void {
    switch (event.kind) {
      case 'depth':
        this.#jobsWaiting = event.jobs;
        this.#depth.set(event.jobs);
        return;
      case 'started':
        this.#waitedMs = event.waitedMs;
        this.#waited.observe(event.waitedMs / 1_000);
        return;
      case 'done':
      case 'retried':
      case 'parked':
      case 'stalled':
        this.#jobs.inc({ outcome: event.kind });
    }
  }
}
