import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Movement } from '../../domain/movement.ts';
import { SlidingShare } from './sliding-share.ts';

/** How many of the newest are looked at for each share. */
const windows = { orders: 10_000, holds: 1_000, denials: 1_000, promises: 1_000 } as const;
const retryWithinMs = 60_000;
const maxRemembered = 10_000;

/** The figures a merchant judges reservations by (docs/reservations.md#metrics). */
export class ReservationMetrics {
  readonly requests: Counter<'class' | 'outcome'>;
  readonly answers: Counter<'source'>;
  readonly decideSeconds: Histogram<'what'>;
  readonly dataAge: Histogram<'what'>;
  readonly queueWaiting: Gauge;
  readonly queueSeconds: Histogram<'outcome'>;
  readonly #oversold: Counter;
  readonly orders = new SlidingShare(windows.orders);
  readonly holds = new SlidingShare(windows.holds);
  readonly denials = new SlidingShare(windows.denials);
  readonly promises = new SlidingShare(windows.promises);
  /** `agent US sku` of a denial -> when, and its place among the denials. */
  readonly #deniedAt = new Map<string, { readonly atMs: number; readonly ticket: number }>();
  #last = { order: '', ticket: 0, isOversold: false };

  constructor(registry: Registry) {
    const registers = [registry];
    this.requests = new Counter({
      name: 'stockmesh_reservations_total',
      help: 'Requests about holds, by class of buyer and outcome',
      labelNames: ['class', 'outcome'],
      registers,
    });
    this.answers = new Counter({
      name: 'stockmesh_availability_answers_total',
      help: 'SKUs answered about, by where the figure came from',
      labelNames: ['source'],
      registers,
    });
    const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
    this.decideSeconds = new Histogram({
      name: 'stockmesh_reservation_decide_seconds',
      help: 'From a request that was read to its decision, the wait for other calls included (contention)',
      labelNames: ['what'],
      buckets: seconds,
      registers,
    });
    this.dataAge = new Histogram({
      name: 'stockmesh_decision_data_age_seconds',
      help: 'Age of the copy of the stock when something was decided or shown',
      labelNames: ['what'],
      buckets: seconds,
      registers,
    });
    this.queueWaiting = new Gauge({
      name: 'stockmesh_hot_queue_waiting',
      help: 'Requests that stand in the queue of a sold-out SKU',
      registers,
    });
    this.queueSeconds = new Histogram({
      name: 'stockmesh_hot_queue_seconds',
      help: 'Time in the queue of a sold-out SKU, by how it ended',
      labelNames: ['outcome'],
      buckets: seconds,
      registers,
    });
    this.#oversold = new Counter({
      name: 'stockmesh_orders_oversold_total',
      help: 'Orders that left a level below zero; alert on any that no allowance explains',
      registers,
    });
    shareGauge(registry, this.orders, {
      name: 'stockmesh_oversell_per_10000_orders',
      help: 'Of the newest 10,000 orders',
      times: 10_000,
    });
    shareGauge(registry, this.holds, {
      name: 'stockmesh_hold_utilisation',
      help: 'Of the newest 1,000 ended holds: committed',
    });
    shareGauge(registry, this.denials, {
      name: 'stockmesh_agent_retry_share',
      help: 'Of the newest 1,000 out-of-stock denials: the same agent asked again within a minute',
    });
    shareGauge(registry, this.promises, {
      name: 'stockmesh_false_availability_share',
      help: 'Of the newest 1,000 reserves the copy had stock for: the ledger had none',
    });
  }

  reserveAsked(agent: string, sku: string, nowMs: number): void {
    if (agent === '') return;
    const key = `${agent}\u001f${sku}`;
    const denied = this.#deniedAt.get(key);
    if (denied === undefined) return;
    this.#deniedAt.delete(key);
    if (nowMs - denied.atMs <= retryWithinMs) this.denials.mark(denied.ticket);
  }

  outOfStock(agent: string, sku: string, nowMs: number): void {
    if (agent === '') return;
    if (this.#deniedAt.size >= maxRemembered) {
      for (const oldest of this.#deniedAt.keys()) {
        this.#deniedAt.delete(oldest);
        break;
      }
    }
    this.#deniedAt.set(`${agent}\u001f${sku}`, { atMs: nowMs, ticket: this.denials.push(false) });
  }

  /** What the log says of holds and orders; of every daemon, wherever they were decided. */
  follow(entries: readonly Movement[]): void {
    for (const entry of entries) {
      const { kind } = entry;
      if (kind === 'hold-committed') this.holds.push(true);
      if (kind === 'released' || kind === 'expired') this.holds.push(false);
      if (kind === 'hold-committed' || (kind === 'ordered' && entry.units > 0)) this.#ordered(entry);
    }
  }

  /** Lines of an order follow one another: it is counted at its first, and marked at the first that oversold. */
  #ordered(entry: Movement): void {
    const order = `${entry.channel}\u001f${entry.reference}`;
    const isOversold = entry.deltaCommitted > 0 && entry.onHand - entry.committed - entry.reserved < 0;
    const isNew = order !== this.#last.order;
    if (isNew) this.#last = { order, ticket: this.orders.push(false), isOversold: false };
    if (!isOversold || this.#last.isOversold) return;
    this.#last.isOversold = true;
    this.orders.mark(this.#last.ticket);
    this.#oversold.inc();
  }
}

function shareGauge(
  registry: Registry,
  of: SlidingShare,
  { name, help, times = 1 }: { readonly name: string; readonly help: string; readonly times?: number },
): void {
  const gauge = new Gauge({
    name,
    help,
    registers: [],
    collect() {
      this.set((of.share ?? 0) * times);
    },
  });
  registry.registerMetric(gauge);
}
