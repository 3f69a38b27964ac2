import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Housekeeping, type HousekeepingOptions } from '../../src/daemon/housekeeping.ts';
import type { ChannelId, LocationId, Sku } from '../../src/domain/ids.ts';
import { noUnits } from '../../src/domain/order.ts';
import { CreditCommands } from '../../src/ledger/credit-commands.ts';
import { RedisMeshState } from '../../src/ledger/mesh-state.ts';
import { RedisLedger } from '../../src/ledger/redis-ledger.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

const main = 'main' as LocationId;
const sku = 'A' as Sku;
let parts: LedgerParts;
let ledger: RedisLedger;
let mesh: RedisMeshState;

beforeEach(async () => {
  parts = ledgerParts();
  ledger = new RedisLedger(parts.caller, parts.clock);
  mesh = new RedisMeshState(parts.caller);
  await ledger.adjust({
    operationId: 'r',
    movement: 'received',
    sku,
    location: main,
    units: 10,
    reference: 'r',
    reason: 'r',
    actor: 'test',
  });
});
afterEach(() => parts.close());

function housekeeping(credits: Partial<HousekeepingOptions['credits']> = {}): Housekeeping {
  const real = new CreditCommands(parts.caller, () => parts.clock.nowMs());
  return new Housekeeping({
    credits: {
      openCredits: (olderThanMs) => real.openCredits(olderThanMs),
      sweepOrders: (limit) => real.sweepOrders(limit),
      ...credits,
    },
    mesh,
    log: pino({ level: 'silent' }),
    creditAgeMs: -60_000,
  });
}

async function commitForOrder(orderId: string): Promise<void> {
  await ledger.reserve({
    holdId: `h-${orderId}`,
    lines: [{ sku, units: 2, locations: [main] }],
    ttlMs: 60_000,
    actor: 'agent',
  });
  await ledger.commit({
    holdId: `h-${orderId}`,
    actor: 'agent',
    order: { channel: 'shop' as ChannelId, orderId },
  });
}

test('one part that fails does not keep the other', async () => {
  await commitForOrder('7');
  await housekeeping({ sweepOrders: () => Promise.reject(new Error('no answer')) }).round();
  expect(await mesh.parkedCount()).toBe(1);
});

test('a commit whose order never comes is put before a person, until it comes', async () => {
  await commitForOrder('7');
  const keeper = housekeeping();
  await keeper.round();
  expect(await mesh.parked(10)).toMatchObject([{ what: 'credit', channel: 'shop', reference: '7/A' }]);
  await ledger.applyOrder(
    {
      channel: 'shop' as ChannelId,
      orderId: '7',
      placedAtMs: 1,
      changedAtMs: 1,
      source: 'fetch',
      beganAtMs: parts.clock.nowMs(),
      lines: [{ lineId: '1', sku, counters: { ...noUnits, ordered: 2 }, takenIsKnown: true }],
    },
    { locations: [{ location: main, wmsOwned: false }], listingKind: 'delta', actor: 'shop' },
  );
  await keeper.round();
  expect(await mesh.parkedCount()).toBe(0);
});

test('closing ends the loop at once', async () => {
  const keeper = housekeeping();
  keeper.start();
  await keeper.close();
});
