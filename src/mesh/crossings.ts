import type { Logger } from 'pino';
import { type Counter, type Registry, Counter as PromCounter } from 'prom-client';
import { type AvailabilityStatus, availabilityStatus } from '../domain/availability-status.ts';
import { type Catalogue, bundlesIn } from '../domain/catalogue.ts';
import type { LocationId, Sku } from '../domain/ids.ts';
import { type Level, availableOf } from '../domain/movement.ts';

/** A SKU passed a threshold of the catalogue. */
export interface Crossing {
  readonly sku: Sku;
  readonly from: AvailabilityStatus;
  readonly to: AvailabilityStatus;
  /** Over all locations; of a bundle: whole bundles. */
  readonly available: number;
  /** Of the newest movement of the SKU (of a bundle: of the component that moved) that this daemon has applied. */
  readonly seq: number;
}

/** The part of the ledger's projection that is followed. */
export interface CrossingSource {
  skus(): Iterable<Sku>;
  levelsOf(sku: Sku): ReadonlyMap<LocationId, Level> | undefined;
  onChanged(listener: (changed: ReadonlyMap<Sku, number>) => void): () => void;
}

export class CrossingMetrics {
  readonly crossings: Counter<'to'>;

  constructor(registry: Registry) {
    this.crossings = new PromCounter({
      name: 'stockmesh_availability_crossings_total',
      help: 'SKUs that passed a threshold of the catalogue, by the status they have now',
      labelNames: ['to'],
      registers: [registry],
    });
  }
}

export interface CrossingsOptions {
  readonly source: CrossingSource;
  readonly catalogue: Catalogue;
  readonly metrics: CrossingMetrics;
  readonly log: Logger;
}

/**
 * Tells whoever subscribed when a SKU passes a threshold.
 *
 *   new --start--> every known SKU has a status, nothing is told --levels change--> crossings told, once each
 *
 * It lives in one process and begins anew with it: every daemon of a merchant tells every crossing it sees, and one that
 * happened while no daemon ran is not told. What changes twice within one batch of the log is told as one crossing, or as
 * none when it came back. A subscriber that must not tell twice uses SKU and sequence as its key.
 */
export class Crossings {
  readonly #options: CrossingsOptions;
  readonly #statuses = new Map<Sku, AvailabilityStatus>();
  readonly #listeners = new Set<(crossing: Crossing) => void>();
  #unfollow: (() => void) | undefined;

  constructor(options: CrossingsOptions) {
    this.#options = options;
  }

  start(): void {
    const { source, catalogue } = this.#options;
    for (const sku of [...source.skus(), ...catalogue.bundles()]) this.#statuses.set(sku, this.statusOf(sku));
    this.#unfollow = source.onChanged((changed) => this.#follow(changed));
  }

  close(): void {
    this.#unfollow?.();
    this.#listeners.clear();
  }

  /** It must not wait; what it throws is logged. */
  subscribe(listener: (crossing: Crossing) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  availableOf(sku: Sku): number {
    const components = this.#options.catalogue.componentsOf(sku);
    if (components !== undefined) return bundlesIn(components, (component) => this.#sumOf(component));
    return this.#sumOf(sku);
  }

  /** A SKU the ledger never heard of has nothing available. */
  statusOf(sku: Sku): AvailabilityStatus {
    return availabilityStatus(this.availableOf(sku), this.#options.catalogue.termsOf(sku));
  }

  #sumOf(sku: Sku): number {
    let sum = 0;
    for (const level of this.#options.source.levelsOf(sku)?.values() ?? []) sum += availableOf(level);
    return sum;
  }

  #follow(changed: ReadonlyMap<Sku, number>): void {
    const { catalogue } = this.#options;
    for (const [sku, seq] of changed) {
      this.#look(sku, seq);
      for (const bundle of catalogue.bundlesWith(sku)) this.#look(bundle, seq);
    }
  }

  #look(sku: Sku, seq: number): void {
    const to = this.statusOf(sku);
    const from = this.#statuses.get(sku);
    if (from === to) return;
    this.#statuses.set(sku, to);
    // First heard of: there is nothing that it passed.
    if (from === undefined) return;
    const crossing: Crossing = { sku, from, to, available: this.availableOf(sku), seq };
    const { metrics, log } = this.#options;
    metrics.crossings.inc({ to });
    log.info({ ...crossing }, 'availability changed');
    for (const listener of this.#listeners) {
      try {
        listener(crossing);
      } catch (error) {
        log.error({ err: error, sku }, 'a subscriber of crossings failed');
      }
    }
  }
}
