import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Movement } from '../../domain/movement.ts';
import { type Tallied, TalliedHistogram } from '../../telemetry/tallied-histogram.ts';
import type { AvailabilityItem } from './answers.ts';
import { SlidingShare } from './sliding-share.ts';

/** How many of the newest are looked at for each share. */
const windows = { orders: 10_000, holds: 1_000, denials: 1_000, promises: 1_000 } as const;
const retryWithinMs = 60_000;
const maxRemembered = 10_000;

/** The figures a merchant judges reservations by (docs/reservations.md#metrics). */
export class ReservationMetrics {
  readonly decideSeconds: Readonly<Record<'reserve' | 'change', Tallied>>;
  readonly dataAge: Readonly<Record<'reserve' | 'read', Tallied>>;
  readonly queueWaiting: Gauge;
  readonly queueSeconds: Histogram<'outcome'>;
  readonly #oversold: Counter;
  readonly orders = new SlidingShare(windows.orders);
  readonly holds = new SlidingShare(windows.holds);
  readonly denials = new SlidingShare(windows.denials);
  readonly promises = new SlidingShare(windows.promises);
  /** Since Prometheus asked last: these come by the ten thousand a second, and its own labels are hashed each time. */
  readonly #answers = { copy: 0, ledger: 0, old_copy: 0, channel: 0, none: 0 };
  readonly #requests = new Map<string, Map<string, number>>();
  /** `agent US sku` of a denial -> when, and its place among the denials. */
  readonly #deniedAt = new Map<string, { readonly atMs: number; readonly ticket: number }>();
  #last = { order: '', ticket: 0, isOversold: false };

  constructor(registry: Registry) {
    const registers = [registry];
    const requests = this.#requests;
    registry.registerMetric(
      new Counter({
        name: 'stockmesh_reservations_total',
        help: 'Requests about holds, by class of buyer and outcome',
        labelNames: ['class', 'outcome'],
        registers: [],
        collect() {
          for (const [buyer, outcomes] of requests)
            for (const [outcome, count] of outcomes) this.inc({ class: buyer, outcome }, count);
          requests.clear();
        },
      }),
    );
    const answers = this.#answers;
    registry.registerMetric(
      new Counter({
        name: 'stockmesh_availability_answers_total',
        help: 'SKUs answered about, by where the figure came from',
        labelNames: ['source'],
        registers: [],
        collect() {
          for (const [source, count] of Object.entries(answers)) {
            if (count > 0) this.inc({ source }, count);
            answers[source as AvailabilityItem['source']] = 0;
          }
        },
      }),
    );
    const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
    const decideSeconds = new TalliedHistogram({
      name: 'stockmesh_reservation_decide_seconds',
      help: 'From a request that was read to its decision, the wait for other calls included (contention)',
      label: 'what',
      buckets: seconds,
      registry,
    });
    this.decideSeconds = { reserve: decideSeconds.of('reserve'), change: decideSeconds.of('change') };
    const dataAge = new TalliedHistogram({
      name: 'stockmesh_decision_data_age_seconds',
      help: 'Age of the copy of the stock when something was decided or shown',
      label: 'what',
      buckets: seconds,
      registry,
    });
    this.dataAge = { reserve: dataAge.of('reserve'), read: dataAge.of('read') };
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

  answered(source: AvailabilityItem['source'], count = 1): void {
    this.#answers[source] += count;
  }

  requested(buyer: string, outcome: string): void {
    let outcomes = this.#requests.get(buyer);
    if (outcomes === undefined) this.#requests.set(buyer, (outcomes = new Map<string, number>()));
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
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
