import { type LineCounters, noUnits } from '../../src/domain/order.ts';

/** An order of one line as its platform says it at a moment (platform clock). */
export interface OrderVersion {
  readonly orderId: string;
  readonly placedAtMs: number;
  readonly changedAtMs: number;
  readonly counters: LineCounters;
  readonly takenIsKnown: boolean;
}

interface Indexed {
  readonly version: OrderVersion;
  readonly visibleAtMs: number;
}

/** A platform's orders, each version visible to polls only some time after it was made. */
export class OrderBook {
  readonly #channel: string;
  readonly #orders = new Map<string, Indexed[]>();
  /** Units ordered and not cancelled: what the channel's orders take from the stock. */
  removed = 0;

  constructor(channel: string) {
    this.#channel = channel;
  }

  place(units: number, atMs: number, visibleAtMs: number): OrderVersion {
    const orderId = `${this.#channel}-${this.#orders.size + 1}`;
    const version: OrderVersion = {
      orderId,
      placedAtMs: atMs,
      changedAtMs: atMs,
      counters: { ...noUnits, ordered: units, takenOut: units },
      takenIsKnown: true,
    };
    this.#orders.set(orderId, [{ version, visibleAtMs }]);
    this.removed += units;
    return version;
  }

  change(
    orderId: string,
    by: Partial<LineCounters>,
    atMs: number,
    visibleAtMs: number,
    takenIsKnown = true,
  ): OrderVersion {
    const versions = this.#orders.get(orderId) ?? [];
    const last = this.newest(orderId);
    const counters: Record<keyof LineCounters, number> = { ...last.counters };
    for (const [name, units] of Object.entries(by)) counters[name as keyof LineCounters] += units;
    const version = {
      ...last,
      counters,
      changedAtMs: Math.max(atMs, last.changedAtMs),
      takenIsKnown: last.takenIsKnown && takenIsKnown,
    };
    versions.push({ version, visibleAtMs });
    this.removed += (by.ordered ?? 0) - (by.cancelled ?? 0);
    return version;
  }

  newest(orderId: string): OrderVersion {
    const version = this.#orders.get(orderId)?.at(-1)?.version;
    if (version === undefined) throw new Error(`no order ${orderId}`);
    return version;
  }

  /** What a poll answered at this moment (simulation clock) returns. */
  visible(atMs: number): readonly OrderVersion[] {
    const found: OrderVersion[] = [];
    for (const versions of this.#orders.values()) {
      for (let index = versions.length - 1; index >= 0; index--) {
        const indexed = versions[index] as Indexed;
        if (indexed.visibleAtMs > atMs) continue;
        found.push(indexed.version);
        break;
      }
    }
    return found;
  }
}
