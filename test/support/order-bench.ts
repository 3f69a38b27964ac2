import { gunzipSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { ChannelId, ListingId, LocationId, Sku } from '../../src/domain/ids.ts';
import type { Movement } from '../../src/domain/movement.ts';
import { type LineCounters, type LineSnapshot, noUnits, type OrderSnapshot } from '../../src/domain/order.ts';
import { checkLedger } from '../../src/ledger/check-state.ts';
import type { CountRequest, OrderRouting } from '../../src/ledger/contract.ts';
import { CountCommands } from '../../src/ledger/count-commands.ts';
import { CreditCommands } from '../../src/ledger/credit-commands.ts';
import { parseEntry } from '../../src/ledger/entry.ts';
import { LedgerFold } from '../../src/ledger/fold.ts';
import { HoldCommands } from '../../src/ledger/hold-commands.ts';
import { RedisMeshState } from '../../src/ledger/mesh-state.ts';
import { OrderCommands } from '../../src/ledger/order-commands.ts';
import { PublisherCommands } from '../../src/ledger/publisher-commands.ts';
import { dumpState } from '../../src/ledger/state-dump.ts';
import { type LedgerParts, ledgerParts } from './ledger-parts.ts';

export const shop = 'shop' as ChannelId;
export const main = 'main' as LocationId;
export const back = 'back' as LocationId;

/** Every command of the ledger on a merchant of its own, and the invariant checker over what they leave behind. */
export interface OrderBench extends LedgerParts {
  readonly orders: OrderCommands;
  readonly counts: CountCommands;
  readonly holds: HoldCommands;
  readonly credits: CreditCommands;
  readonly publisher: PublisherCommands;
  readonly mesh: RedisMeshState;
  movements(): Promise<readonly Movement[]>;
  /** Log and state hold together by every invariant. */
  audit(): Promise<void>;
}

export function orderBench(parts: LedgerParts = ledgerParts()): OrderBench {
  const movements = async (): Promise<readonly Movement[]> => {
    const entries = await parts.redis.xrange(parts.keys.log, '-', '+');
    return entries.map(([id, fields]) => parseEntry(id, fields[1] ?? '', fields[3] ?? ''));
  };
  return {
    ...parts,
    orders: new OrderCommands(parts.caller),
    counts: new CountCommands(parts.caller),
    holds: new HoldCommands(parts.caller),
    credits: new CreditCommands(parts.caller, () => parts.clock.nowMs()),
    publisher: new PublisherCommands(parts.caller),
    mesh: new RedisMeshState(parts.caller),
    movements,
    async audit() {
      const fold = new LedgerFold();
      for (const movement of await movements()) fold.add(movement);
      expect(checkLedger(fold, await dumpState(parts.redis, parts.keys))).toEqual([]);
    },
  };
}

export function line(
  lineId: string,
  sku: string,
  counters: Partial<LineCounters>,
  more: Partial<Omit<LineSnapshot, 'lineId' | 'counters'>> = {},
): LineSnapshot {
  return {
    lineId,
    sku: sku as Sku,
    counters: { ...noUnits, ...counters },
    takenIsKnown: true,
    ...more,
  };
}

export function order(
  orderId: string,
  lines: readonly LineSnapshot[],
  more: Partial<OrderSnapshot> = {},
): OrderSnapshot {
  return {
    channel: shop,
    orderId,
    placedAtMs: 1_000,
    changedAtMs: 1_000,
    source: 'push',
    beganAtMs: 1_000,
    lines,
    ...more,
  };
}

export const routing: OrderRouting = {
  locations: [
    { location: main, wmsOwned: false },
    { location: back, wmsOwned: false },
  ],
  listingKind: 'delta',
  skewMs: 0,
  actor: 'test',
};

export const wmsRouting: OrderRouting = { ...routing, locations: [{ location: main, wmsOwned: true }] };

let operations = 0;

export function count(
  bench: OrderBench,
  sku: string,
  onHand: number,
  more: Partial<CountRequest> = {},
): CountRequest {
  return {
    operationId: `count-${++operations}`,
    sku: sku as Sku,
    location: main,
    onHand,
    asOfMs: bench.clock.nowMs(),
    pickLagMs: 0,
    skewMs: 0,
    source: 'stocktake',
    actor: 'test',
    ...more,
  };
}

export async function receive(
  bench: OrderBench,
  sku: string,
  units: number,
  location: LocationId = main,
): Promise<void> {
  await bench.counts.adjust({
    operationId: `receipt-${++operations}`,
    movement: 'received',
    sku: sku as Sku,
    location,
    units,
    reference: 'delivery',
    reason: '',
    actor: 'test',
  });
}

export async function levelOf(bench: OrderBench, sku: string, location: LocationId = main) {
  const names = [`o:${location}`, `c:${location}`, `r:${location}`];
  const [o, c, r] = await bench.redis.hmget(bench.keys.sku(sku as Sku), ...names);
  return { onHand: Number(o ?? 0), committed: Number(c ?? 0), reserved: Number(r ?? 0) };
}

export const listing = (id: string): ListingId => id as ListingId;

export interface RealLine {
  readonly order: string;
  readonly line: string;
  readonly sku: string;
  readonly quantity: number;
}

/** Real order lines, see test/fixtures/online-retail/README.md. */
export function readRealLines(name: 'repeated-pairs' | 'order-573585'): readonly RealLine[] {
  const file = new URL(`../fixtures/online-retail/${name}.csv.gz`, import.meta.url);
  const rows = gunzipSync(readFileSync(file)).toString('utf8').trimEnd().split('\n').slice(1);
  return rows.map((row) => {
    const [of = '', at = '', sku = '', quantity = ''] = row.split(',');
    return { order: of, line: at, sku, quantity: Number(quantity) };
  });
}
