import { type LineCounters, counterNames, noUnits } from '../../domain/order.ts';
import type { PlatformLine } from '../connector.ts';

/** One unit of an order, or what it stands for of one component of a bundle. */
export interface LinePart {
  readonly lineId: string;
  readonly sku: string;
  readonly itemId: string | null;
  readonly counters: LineCounters;
  readonly takenIsKnown: boolean;
  readonly warehouseId: string | undefined;
  /** Where its units are: still promised, on their way, or neither. */
  readonly phase: 'open' | 'shipped' | 'cancelled';
  readonly units: number;
}

interface Sum {
  readonly first: LinePart;
  readonly counters: Record<keyof LineCounters, number>;
  takenIsKnown: boolean;
  readonly open: Map<string, number>;
  readonly shipped: Map<string, number>;
}

/**
 * TikTok has no quantity: an order of 300 units has 300 lines. Those of one SKU are one line here, as on every other
 * platform: a counter of it is the sum of the units' counters, so it rises and falls with them, and a change is one movement.
 */
export class LineSums {
  readonly #sums = new Map<string, Sum>();

  add(part: LinePart): void {
    const { lineId, takenIsKnown, warehouseId, phase, units } = part;
    let sum = this.#sums.get(lineId);
    if (sum === undefined) {
      sum = { first: part, counters: { ...noUnits }, takenIsKnown, open: new Map(), shipped: new Map() };
      this.#sums.set(lineId, sum);
    }
    for (const name of counterNames) sum.counters[name] += part.counters[name];
    sum.takenIsKnown &&= takenIsKnown;
    if (warehouseId === undefined || phase === 'cancelled') return;
    const places = sum[phase];
    places.set(warehouseId, (places.get(warehouseId) ?? 0) + units);
  }

  lines(): readonly PlatformLine[] {
    return [...this.#sums].map(([lineId, { first, counters, takenIsKnown, open, shipped }]) => ({
      lineId,
      sku: first.sku,
      itemId: first.itemId,
      counters,
      takenIsKnown,
      ...(open.size === 0 ? {} : { committedAt: placesOf(open) }),
      ...(shipped.size === 0 ? {} : { shippedFrom: placesOf(shipped) }),
    }));
  }
}

function placesOf(places: ReadonlyMap<string, number>): readonly { locationId: string; units: number }[] {
  return [...places].map(([locationId, units]) => ({ locationId, units }));
}
