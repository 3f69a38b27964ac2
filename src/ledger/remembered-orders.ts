import { hash } from 'node:crypto';
import type { OrderSnapshot } from '../domain/order.ts';
import type { ApplyOrderResult, Ledger, OrderRouting } from './contract.ts';

export interface RememberedOrdersSettings {
  /** For so long an unchanged snapshot is not applied again. What another daemon did to the order meanwhile is mended then. */
  readonly rememberMs: number;
  readonly maxOrders: number;
}

const defaultSettings: RememberedOrdersSettings = { rememberMs: 60_000, maxOrders: 50_000 };

interface Remembered {
  readonly digest: string;
  readonly epoch: number;
  readonly seq: number;
  readonly atMs: number;
}

/**
 * Walks overlap, so each order comes again and again, unchanged. The ledger would find nothing to write, but only after
 * reading every line of it: what this process has applied last is answered from memory.
 *
 *   unknown --applied alone, nothing refused--> remembered: the lines' counters in the ledger are the snapshot's
 *   remembered --the same snapshot--> answered, no call        --another one, new epoch, `rememberMs` over--> unknown
 *
 * Two calls for one order at once, or a refused fall, leave it unknown: the ledger then holds something else. What a
 * repeat would have done besides is to date the counters anew, against a fetch that began sooner and comes later with less;
 * if one ever does, it takes the place of what is remembered, and the next walk applies the newer snapshot again.
 */
export class RememberedOrders implements Pick<Ledger, 'applyOrder'> {
  readonly #orders: Pick<Ledger, 'applyOrder'>;
  readonly #epoch: () => number | undefined;
  readonly #nowMs: () => number;
  readonly #settings: RememberedOrdersSettings;
  /** Insertion order is age. */
  readonly #remembered = new Map<string, Remembered>();
  readonly #underWay = new Map<string, { calls: number; isShared: boolean }>();

  constructor(
    orders: Pick<Ledger, 'applyOrder'>,
    epoch: () => number | undefined,
    settings?: Partial<RememberedOrdersSettings>,
    nowMs = (): number => performance.now(),
  ) {
    this.#orders = orders;
    this.#epoch = epoch;
    this.#settings = { ...defaultSettings, ...settings };
    this.#nowMs = nowMs;
  }

  async applyOrder(order: OrderSnapshot, routing: OrderRouting): Promise<ApplyOrderResult> {
    const key = `${order.channel}/${order.orderId}/${routing.adopt ?? ''}`;
    const digest = digestOf(order, routing);
    const known = this.#remembered.get(key);
    const isFresh = known !== undefined && this.#nowMs() - known.atMs < this.#settings.rememberMs;
    if (isFresh && known.digest === digest && known.epoch === this.#epoch())
      return { kind: 'applied', seq: known.seq, movements: 0, refusedFalls: 0 };
    this.#remembered.delete(key);
    return this.#apply(key, digest, order, routing);
  }

  async #apply(
    key: string,
    digest: string,
    order: OrderSnapshot,
    routing: OrderRouting,
  ): Promise<ApplyOrderResult> {
    const own = this.#underWay.get(key) ?? { calls: 0, isShared: false };
    own.isShared ||= own.calls > 0;
    own.calls++;
    this.#underWay.set(key, own);
    let applied: ApplyOrderResult;
    try {
      applied = await this.#orders.applyOrder(order, routing);
    } finally {
      if (--own.calls === 0) this.#underWay.delete(key);
    }
    const epoch = this.#epoch();
    if (!own.isShared && applied.refusedFalls === 0 && epoch !== undefined)
      this.#remember(key, { digest, epoch, seq: applied.seq, atMs: this.#nowMs() });
    return applied;
  }

  #remember(key: string, remembered: Remembered): void {
    this.#remembered.set(key, remembered);
    for (const [oldest, { atMs }] of this.#remembered) {
      const isKept = remembered.atMs - atMs < this.#settings.rememberMs;
      if (isKept && this.#remembered.size <= this.#settings.maxOrders) break;
      this.#remembered.delete(oldest);
    }
  }
}

/** Of all that the ledger is given, but for the source and the moment of the question: the counters are the same by either. */
function digestOf(order: OrderSnapshot, routing: OrderRouting): string {
  const { placedAtMs, changedAtMs, lines } = order;
  return hash('sha1', JSON.stringify([placedAtMs, changedAtMs, lines, routing]), 'base64');
}
