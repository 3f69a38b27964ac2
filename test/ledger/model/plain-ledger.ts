import { type AppliedLine, mergeLine, nothingApplied } from '../../../src/domain/merge.ts';
import { type LineCounters, committedOf } from '../../../src/domain/order.ts';

export interface PlainHold {
  readonly holdId: string;
  readonly ttlMs: number;
  readonly lines: readonly { readonly sku: string; readonly units: number }[];
  state: 'held' | 'committed' | 'released' | 'expired';
  /** Commit it was ended by, to tell a repeat from another commit. */
  commit?: string;
}

interface PlainOrder {
  readonly lines: Map<string, { readonly sku: string; applied: AppliedLine }>;
  readonly credits: Map<string, { netted: number; open: number }>;
}

/**
 * The ledger as a few maps, one location that sells and one behind it, written from the rules and not from the scripts: what the real one is held
 * against. It has no log, no epochs, no deadlines; the test tells it which holds have expired.
 */
export class PlainLedger {
  readonly onHand = new Map<string, number>();
  readonly holds = new Map<string, PlainHold>();
  readonly orders = new Map<string, PlainOrder>();
  readonly #back = new Map<string, number>();
  readonly #provisional = new Map<string, number>();

  reserved(sku: string): number {
    let units = this.provisionalOf(sku);
    for (const hold of this.holds.values()) {
      if (hold.state !== 'held') continue;
      for (const line of hold.lines) if (line.sku === sku) units += line.units;
    }
    return units;
  }

  committed(sku: string): number {
    let units = 0;
    for (const order of this.orders.values()) {
      for (const line of order.lines.values())
        if (line.sku === sku) units += committedOf(line.applied.counters);
      units += order.credits.get(sku)?.open ?? 0;
    }
    return units;
  }

  available(sku: string): number {
    return (this.onHand.get(sku) ?? 0) - this.committed(sku) - this.reserved(sku);
  }

  adjust(sku: string, units: number): void {
    this.onHand.set(sku, (this.onHand.get(sku) ?? 0) + units);
  }

  /** At the second location, where nothing is sold. */
  onHandBack(sku: string): number {
    return this.#back.get(sku) ?? 0;
  }

  adjustBack(sku: string, units: number): void {
    this.#back.set(sku, this.onHandBack(sku) + units);
  }

  provisionalOf(sku: string): number {
    return this.#provisional.get(sku) ?? 0;
  }

  provision(sku: string, units: number): void {
    this.#provisional.set(sku, this.provisionalOf(sku) + units);
  }

  /** From the one listing of the SKU. */
  taken(sku: string): number {
    let units = 0;
    for (const order of this.orders.values()) {
      for (const line of order.lines.values()) {
        const { takenOut, givenBack } = line.applied.counters;
        if (line.sku === sku) units += takenOut - givenBack;
      }
    }
    return units;
  }

  /** Undefined: held. Otherwise the SKU that is short. */
  reserve(hold: Omit<PlainHold, 'state'>): string | undefined {
    const wanted = new Map<string, number>();
    for (const { sku, units } of hold.lines) wanted.set(sku, (wanted.get(sku) ?? 0) + units);
    for (const [sku, units] of wanted) if (units > this.available(sku)) return sku;
    this.holds.set(hold.holdId, { ...hold, state: 'held' });
    return undefined;
  }

  commit(holdId: string, orderKey: string, kept: ReadonlyMap<string, number> | undefined): void {
    const hold = this.holds.get(holdId);
    if (hold === undefined || hold.state !== 'held') throw new Error('only a live hold can be committed');
    hold.state = 'committed';
    const units = new Map<string, number>();
    for (const line of hold.lines) units.set(line.sku, (units.get(line.sku) ?? 0) + line.units);
    const order = this.#order(orderKey);
    for (const [sku, held] of units) {
      const wanted = kept === undefined ? held : Math.min(held, kept.get(sku) ?? 0);
      const credit = this.#credit(order, sku);
      const netted = Math.min(wanted, Math.max(0, this.#ordered(order, sku) - credit.netted));
      credit.netted += netted;
      credit.open += wanted - netted;
    }
  }

  applyLine(
    orderKey: string,
    lineId: string,
    seen: { sku: string; counters: LineCounters; source: 'fetch' | 'push'; beganAtMs: number },
  ): void {
    const order = this.#order(orderKey);
    const line = order.lines.get(lineId) ?? { sku: seen.sku, applied: nothingApplied };
    order.lines.set(lineId, line);
    const before = this.#ordered(order, line.sku);
    line.applied = mergeLine(line.applied, seen).line;
    const rise = this.#ordered(order, line.sku) - before;
    const credit = order.credits.get(line.sku);
    if (credit === undefined || rise <= 0) return;
    const netted = Math.max(0, Math.min(rise, credit.open, this.#ordered(order, line.sku) - credit.netted));
    credit.netted += netted;
    credit.open -= netted;
  }

  /** Applied shipments and returns have to be told to on-hand by the caller of `applyLine`: it sees the difference. */
  countersOf(orderKey: string, lineId: string): LineCounters {
    return this.orders.get(orderKey)?.lines.get(lineId)?.applied.counters ?? nothingApplied.counters;
  }

  #order(key: string): PlainOrder {
    let order = this.orders.get(key);
    if (order === undefined) {
      order = { lines: new Map(), credits: new Map() };
      this.orders.set(key, order);
    }
    return order;
  }

  #credit(order: PlainOrder, sku: string): { netted: number; open: number } {
    let credit = order.credits.get(sku);
    if (credit === undefined) {
      credit = { netted: 0, open: 0 };
      order.credits.set(sku, credit);
    }
    return credit;
  }

  #ordered(order: PlainOrder, sku: string): number {
    let units = 0;
    for (const line of order.lines.values()) if (line.sku === sku) units += line.applied.counters.ordered;
    return units;
  }
}
