import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { CreditLedger, MeshState } from '../ledger/contract.ts';
import { jittered } from '../mesh/alarm.ts';
import { allParked, parkedEntry, parkedRowId } from '../mesh/parked-rows.ts';

export interface HousekeepingOptions {
  readonly credits: Pick<CreditLedger, 'openCredits' | 'sweepOrders'>;
  readonly mesh: Pick<MeshState, 'park' | 'unpark' | 'parked'>;
  readonly log: Logger;
  readonly everyMs?: number | undefined;
  readonly creditAgeMs?: number | undefined;
}

const everyMs = 60_000;
/** A commit names its order before the order is seen; by now it would have been. */
const creditAgeMs = 3_600_000;
const ordersPerSweep = 100;
const maxSweeps = 50;

/**
 * Applied state of old orders is compacted and dropped, and a commit whose order never came is put before a person. Every
 * daemon does it: both are harmless to repeat and bounded per round, and one that fails does not keep the other.
 */
export class Housekeeping {
  readonly #options: HousekeepingOptions;
  readonly #closing = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  async round(): Promise<void> {
    const { log } = this.#options;
    await this.#sweepOrders().catch((error: unknown) =>
      log.warn({ err: error }, 'old orders were not swept'),
    );
    await this.#parkCredits().catch((error: unknown) =>
      log.warn({ err: error }, 'open credits were not listed'),
    );
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await delay(jittered(this.#options.everyMs ?? everyMs), undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) await this.round();
    }
  }

  async #sweepOrders(): Promise<void> {
    for (let sweep = 0; sweep < maxSweeps && !this.#closing.signal.aborted; sweep++) {
      const { dropped, compacted } = await this.#options.credits.sweepOrders(ordersPerSweep);
      if (dropped + compacted < ordersPerSweep) return;
    }
  }

  async #parkCredits(): Promise<void> {
    const { credits, mesh, log } = this.#options;
    const open = await credits.openCredits(this.#options.creditAgeMs ?? creditAgeMs);
    const parked = new Set<string>();
    for (const { channel, orderId, sku, openSinceMs } of open) {
      const row = {
        what: 'credit' as const,
        reference: `${orderId}/${sku}`,
        reason: 'a hold was committed for this order, and the order was never seen',
        content: JSON.stringify({ order: orderId, sku, openSinceMs }),
      };
      const id = parkedRowId(channel, row);
      parked.add(id);
      log.warn({ channel, order: orderId, sku }, 'a committed hold waits for an order that does not come');
      await mesh.park(parkedEntry(channel, row));
    }
    const over: string[] = [];
    for await (const entry of allParked(mesh)) {
      if (entry.what === 'credit' && !parked.has(entry.id)) over.push(entry.id);
    }
    for (const id of over) await mesh.unpark(id);
  }
}
