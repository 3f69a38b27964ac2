import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What the publishers of a daemon did, per channel. */
export class PublishMetrics {
  /** From the newest movement behind a write (Redis server's clock) to the platform's confirmation. */
  readonly saleToShelfS: Histogram<'channel'>;
  /** From the log entry to the request on its way, the part that is ours. */
  readonly entryToRequestS: Histogram<'channel'>;
  readonly backlog: Gauge<'channel'>;
  readonly openRequests: Gauge<'channel'>;
  readonly requests: Counter<'channel' | 'kind'>;
  readonly rows: Counter<'channel' | 'kind' | 'outcome'>;
  /** Listings that were looked at and already showed what they ought to. */
  readonly unneeded: Counter<'channel'>;
  readonly parked: Counter<'channel'>;
  readonly breakerOpen: Gauge<'channel'>;
  /** From the newest movement behind a write until a reading of the platform shows it. */
  readonly saleToReadBackS: Histogram<'channel'>;
  /** Listings marked by movements, a listing once per call: what writes per change is counted against. */
  readonly changes: Counter<'channel'>;
  /** Rows sent whose number was what we believed the listing showed already; re-sends over an open write excepted. */
  readonly needless: Counter<'channel'>;
  readonly backlogSlope: Gauge<'channel'>;
  readonly guardHeld: Gauge<'channel'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.saleToShelfS = new Histogram({
      name: 'stockmesh_sale_to_shelf_seconds',
      help: 'Newest movement of a listing until the platform confirmed the write',
      labelNames: ['channel'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    });
    this.saleToReadBackS = new Histogram({
      name: 'stockmesh_sale_to_read_back_seconds',
      help: 'Newest movement of a listing until a reading of the platform showed the write',
      labelNames: ['channel'],
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600],
      registers,
    });
    this.changes = new Counter({
      name: 'stockmesh_publish_changes_total',
      help: 'Listings marked because a movement changed what they ought to show',
      labelNames: ['channel'],
      registers,
    });
    this.needless = new Counter({
      name: 'stockmesh_publish_needless_total',
      help: 'Rows sent whose number was already believed to show, re-sends over an open write excepted',
      labelNames: ['channel'],
      registers,
    });
    this.backlogSlope = new Gauge({
      name: 'stockmesh_publish_backlog_slope',
      help: 'Growth of the backlog over the last minute, listings per second',
      labelNames: ['channel'],
      registers,
    });
    this.entryToRequestS = new Histogram({
      name: 'stockmesh_entry_to_request_seconds',
      help: 'Newest movement of a listing until the write request was sent',
      labelNames: ['channel'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30],
      registers,
    });
    this.backlog = new Gauge({
      name: 'stockmesh_publish_backlog',
      help: 'Listings waiting to be looked at',
      labelNames: ['channel'],
      registers,
    });
    this.openRequests = new Gauge({
      name: 'stockmesh_publish_open_requests',
      help: 'Write records without a final outcome',
      labelNames: ['channel'],
      registers,
    });
    this.requests = new Counter({
      name: 'stockmesh_publish_requests_total',
      help: 'Write requests sent, repeats included',
      labelNames: ['channel', 'kind'],
      registers,
    });
    this.rows = new Counter({
      name: 'stockmesh_publish_rows_total',
      help: 'Rows of write requests by what became of them',
      labelNames: ['channel', 'kind', 'outcome'],
      registers,
    });
    this.unneeded = new Counter({
      name: 'stockmesh_publish_unneeded_total',
      help: 'Listings looked at that needed no write',
      labelNames: ['channel'],
      registers,
    });
    this.parked = new Counter({
      name: 'stockmesh_publish_parked_total',
      help: 'Listings set aside because the platform refuses their row',
      labelNames: ['channel'],
      registers,
    });
    this.guardHeld = new Gauge({
      name: 'stockmesh_guard_held_listings',
      help: 'Listings held because a run of changes would do too much',
      labelNames: ['channel'],
      registers,
    });
    this.breakerOpen = new Gauge({
      name: 'stockmesh_channel_circuit_open',
      help: '1 while the circuit of the channel is not closed',
      labelNames: ['channel'],
      registers,
    });
  }
}
