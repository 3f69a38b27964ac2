import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ReserveRequest } from '../../src/ledger/contract.ts';
import { RedisLedger } from '../../src/ledger/redis-ledger.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { location, receive, sku, storedLevel } from '../support/stock.ts';

failOnLeakedConnections();

let parts: LedgerParts;
let ledger: RedisLedger;
beforeEach(async () => {
  parts = ledgerParts();
  ledger = new RedisLedger(parts.caller, parts.clock);
  await receive(parts, 'a', 3);
  await receive(parts, 'b', 1);
});
afterEach(() => parts.close());

type Units = Readonly<Record<string, number>>;

function request(holdId: string, units: Units, more: Partial<ReserveRequest> = {}): ReserveRequest {
  const lines = Object.entries(units).map(([of, count]) => ({
    sku: sku(of),
    units: count,
    locations: [location('main')],
    agentCapUnits: 3,
  }));
  return { holdId, lines, ttlMs: 60_000, actor: 'test', agent: 'x', pool: 'agents', ...more };
}

async function reserved(): Promise<Units> {
  return { a: (await storedLevel(parts, 'a')).reserved, b: (await storedLevel(parts, 'b')).reserved };
}

async function written(): Promise<number> {
  return parts.redis.xlen(parts.keys.log);
}

describe('refuses, and the first hold lives on', () => {
  test('a hold nobody made, one that was given back, one that has run out', async () => {
    expect(await ledger.change('h0', request('h1', { a: 1 }))).toEqual({ kind: 'replaced-unknown' });
    await ledger.reserve(request('h2', { a: 1 }));
    await ledger.release({ holdId: 'h2', actor: 'test' });
    expect(await ledger.change('h2', request('h3', { a: 1 }))).toEqual({
      kind: 'replaced-ended',
      state: 'released',
    });
    await ledger.reserve(request('h4', { a: 1 }, { ttlMs: 1 }));
    await expect.poll(async () => (await ledger.hold('h4'))?.state, { timeout: 10_000 }).toBe('expired');
    expect(await ledger.change('h4', request('h5', { a: 1 }))).toMatchObject({ kind: 'replaced-ended' });
    expect(await reserved()).toEqual({ a: 0, b: 0 });
  });

  test('one line too many: nothing is written at all', async () => {
    await ledger.reserve(request('h1', { a: 2, b: 1 }));
    const before = await written();
    expect(await ledger.change('h1', request('h2', { a: 3, b: 2 }))).toMatchObject({
      kind: 'denied',
      reason: 'out-of-stock',
      sku: 'b',
      available: 1,
    });
    expect(await written()).toBe(before);
    expect((await ledger.hold('h1'))?.state).toBe('held');
    expect(await ledger.hold('h2')).toBeUndefined();
    expect(await reserved()).toEqual({ a: 2, b: 1 });
  });

  test('the cap of one agent counts the second hold in the place of the first', async () => {
    await receive(parts, 'a', 10);
    await ledger.reserve(request('h1', { a: 2 }));
    expect(await ledger.change('h1', request('h2', { a: 4 }))).toMatchObject({
      kind: 'denied',
      reason: 'agent-cap',
      available: 3,
    });
    expect(await ledger.change('h1', request('h2', { a: 3 }))).toMatchObject({ kind: 'held' });
  });
});

test('units of the first hold count as there for the second; the ledger adds up', async () => {
  await ledger.reserve(request('h1', { a: 2, b: 1 }));
  const changed = await ledger.change('h1', request('h2', { a: 3 }));
  expect(changed).toMatchObject({ kind: 'held', holdId: 'h2', repeated: false });
  expect(await reserved()).toEqual({ a: 3, b: 0 });
  expect((await ledger.hold('h1'))?.state).toBe('released');
  expect(await ledger.change('h1', request('h2', { a: 3 }))).toMatchObject({ kind: 'held', repeated: true });
  expect(await ledger.change('h1', request('h2', { a: 1 }))).toEqual({ kind: 'fingerprint-mismatch' });
  expect(await ledger.commit({ holdId: 'h2', actor: 'test' })).toMatchObject({ kind: 'committed' });
  expect(await reserved()).toEqual({ a: 0, b: 0 });
});

test('of many changes of one hold one is first, and nobody else gets its units in between', async () => {
  await ledger.reserve(request('h', { a: 3 }));
  const buyers = Array.from({ length: 20 }, (_, index) =>
    ledger.reserve(request(`other-${index}`, { a: 1 }, { agent: `o${index}` })),
  );
  const changes = Array.from({ length: 20 }, (_, index) =>
    ledger.change('h', request(`c-${index}`, { a: 3 })),
  );
  const kinds = (await Promise.all(changes)).map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === 'held')).toHaveLength(1);
  expect(kinds.filter((kind) => kind === 'replaced-ended')).toHaveLength(19);
  for (const { kind } of await Promise.all(buyers)) expect(kind).toBe('denied');
  expect(await reserved()).toEqual({ a: 3, b: 0 });
});
