import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ListingId, Sku } from '../../src/domain/ids.ts';
import { type ListingState, maxOpenWrites, untouchedListing } from '../../src/domain/listing.ts';
import type { ListingChange, ListingView, WriteRecord } from '../../src/ledger/contract.ts';
import { publisherLease } from '../../src/ledger/write-commands.ts';
import {
  back,
  levelOf,
  line,
  listing,
  main,
  order,
  type OrderBench,
  orderBench,
  receive,
  routing,
  shop,
} from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

let bench: OrderBench;
let token: number;
beforeEach(async () => {
  bench = orderBench();
  token = await take('test');
});
afterEach(async () => {
  await bench.close();
});

const x = listing('x');
const y = listing('y');
const sku = 's' as Sku;

async function take(holder: string, ttlMs = 60_000): Promise<number> {
  const lease = await bench.publisher.takeLease(publisherLease(shop), holder, ttlMs);
  return lease.kind === 'taken' ? lease.token : 0;
}

async function view(id: ListingId = x): Promise<ListingView> {
  const { rows } = await bench.publisher.readListings(shop, [{ listingId: id, sku }]);
  const row = rows[0];
  if (row === undefined) throw new Error('no row');
  return row;
}

const base = { value: 9, takenAt: 2, asOfMs: 500, settled: true };

/** Everything a listing can hold, so that a field that is lost on the way shows. */
const full: ListingState = {
  ...untouchedListing,
  base,
  suspect: true,
  suspectAtMs: 77,
  walkAwaitedMs: 88,
  residue: { units: -2, reads: 1, readAtMs: 99, pulled: true, takenThen: 3 },
  openWrites: [
    {
      writeId: 'w',
      kind: 'absolute',
      from: 9,
      to: 4,
      takenAt: 2,
      sentAtMs: 600,
      outcome: 'accepted',
      acceptedAtMs: 601,
      token: 3,
    },
    { writeId: 'v', kind: 'delta', from: 4, to: 0, takenAt: 2, sentAtMs: 700, outcome: 'unknown', token: 3 },
  ],
};

function record(writeId: string, rows: WriteRecord['rows'], more: Partial<WriteRecord> = {}): WriteRecord {
  return {
    writeId,
    kind: 'lower',
    rows,
    variablesHash: 'hash',
    reference: '1-1',
    seq: 1,
    token,
    sentAtMs: 1_000,
    attempts: 1,
    ...more,
  };
}
const row = (listingId: ListingId, from = 9, to = 4) => ({ listingId, from, to, takenAt: 0 });

async function change(more: Partial<ListingChange> = {}, id: ListingId = x): Promise<ListingChange> {
  const { state } = await view(id);
  return { listingId: id, expectedVersion: state.version, next: state, ...more };
}
const settle = (changes: readonly ListingChange[], by = token) =>
  bench.publisher.settle(shop, by, { changes, closeWrites: [] });

describe('a lease', () => {
  test('has one holder, who keeps its token while it renews', async () => {
    const name = publisherLease(shop);
    expect(await bench.publisher.takeLease(name, 'other', 60_000)).toMatchObject({
      kind: 'busy',
      holder: 'test',
    });
    expect(await take('test')).toBe(token);
  });

  test('that ended has a higher token next time, also for the same holder', async () => {
    await bench.stepClock(60_000);
    // Logical time steps at most five seconds a call: an idle ledger keeps its leases a while longer.
    for (let i = 0; i < 14; i++) {
      await bench.stepClock(5_000);
      await bench.publisher.pending(shop, 1);
      await bench.mesh.unpark('nothing');
    }
    const second = await take('test');
    expect(second).toBeGreaterThan(token);
    await bench.publisher.giveUpLease(publisherLease(shop), second);
    expect(await take('other')).toBeGreaterThan(second);
  });

  test('is not given up by an old token', async () => {
    await bench.publisher.giveUpLease(publisherLease(shop), token);
    const next = await take('other');
    await bench.publisher.giveUpLease(publisherLease(shop), token);
    expect(await bench.publisher.takeLease(publisherLease(shop), 'third', 1_000)).toMatchObject({
      kind: 'busy',
    });
    expect(next).toBeGreaterThan(token);
  });

  test.each([[0], [-1], [Number.NaN], [3_600_001]])('of %d ms is refused', async (ttlMs) => {
    await expect(bench.publisher.takeLease('n', 'h', ttlMs)).rejects.toMatchObject({
      code: 'LEDGER_REQUEST_INVALID',
    });
  });
});

describe('marks', () => {
  test('only grow, and the cursor never moves back', async () => {
    const at = (epoch: number, seq: number) => ({ epoch, seq });
    const mark = (seq: number) => [{ listingId: x, seq }];
    await bench.publisher.markPending(shop, mark(10), at(100, 10));
    await bench.publisher.markPending(shop, mark(7), at(100, 9));
    expect(await bench.publisher.pending(shop, 10)).toEqual([{ listingId: x, seq: 10 }]);
    expect(await bench.mesh.cursor(`log:${shop}`)).toBe('100-10');
    // A later epoch is later, whatever its sequence; 9 < 10 is not a comparison of texts.
    await bench.publisher.markPending(shop, [], at(101, 2));
    expect(await bench.mesh.cursor(`log:${shop}`)).toBe('101-2');
    await bench.publisher.markPending(shop, [], at(99, 1_000));
    expect(await bench.mesh.cursor(`log:${shop}`)).toBe('101-2');
  });

  test('come oldest first, and no more than asked', async () => {
    const marks = [5, 3, 9].map((seq) => ({ listingId: listing(`l${seq}`), seq }));
    await bench.publisher.markPending(shop, marks, { epoch: 1, seq: 9 });
    const pending = await bench.publisher.pending(shop, 2);
    expect(pending.map(({ seq }) => seq)).toEqual([3, 5]);
  });

  test('of more than 1,000 listings in a call are refused', async () => {
    const marks = Array.from({ length: 1_001 }, (_, i) => ({ listingId: listing(`l${i}`), seq: 1 }));
    await expect(bench.publisher.markPending(shop, marks, { epoch: 1, seq: 1 })).rejects.toMatchObject({
      code: 'LEDGER_REQUEST_INVALID',
    });
  });
});

describe('a view', () => {
  test('of a listing nobody touched', async () => {
    expect(await view()).toMatchObject({ state: untouchedListing });
  });

  test('shows state, levels at every place, components and what settles here, as of one moment', async () => {
    await receive(bench, 's', 5);
    await receive(bench, 's', 3, back);
    await receive(bench, 'part', 7);
    await bench.holds.reserve({
      holdId: 'h',
      lines: [{ sku, units: 2, locations: [main] }],
      ttlMs: 60_000,
      actor: 'test',
      settlesOn: shop,
    });
    await settle([await change({ next: full })]);
    const { rows, position } = await bench.publisher.readListings(shop, [
      { listingId: x, sku, components: ['part' as Sku] },
      { listingId: y, sku: 'unknown' as Sku },
    ]);
    expect(position.seq).toBe(bench.seen.get().seq);
    expect(rows[0]?.state).toEqual({ ...full, version: 1 });
    expect(rows[0]?.levels.get(sku)).toEqual(
      new Map([
        [main, { onHand: 5, committed: 0, reserved: 2 }],
        [back, { onHand: 3, committed: 0, reserved: 0 }],
      ]),
    );
    expect(rows[0]?.levels.get('part' as Sku)?.get(main)).toMatchObject({ onHand: 7 });
    expect(rows[0]?.settlesHere).toEqual(new Map([[main, 2]]));
    expect(rows[1]?.levels.get('unknown' as Sku)).toEqual(new Map());
  });

  test('of 600 listings keeps their order', async () => {
    const asked = Array.from({ length: 600 }, (_, i) => ({ listingId: listing(`l${i}`), sku }));
    const { rows } = await bench.publisher.readListings(shop, asked);
    expect(rows.map(({ listingId }) => listingId)).toEqual(asked.map(({ listingId }) => listingId));
  });
});

describe('a claim', () => {
  test('is refused without the lease, and stores nothing', async () => {
    const versions = [{ listingId: x, version: 0 }];
    const claim = (by: number) => bench.publisher.claimWrite(shop, by, record('w', [row(x)]), versions);
    expect(await claim(token + 1)).toEqual({ kind: 'lease-lost' });
    await bench.publisher.giveUpLease(publisherLease(shop), token);
    expect(await claim(token)).toEqual({ kind: 'lease-lost' });
    expect(await bench.publisher.openWrites(shop)).toEqual([]);
    expect((await view()).state).toEqual(untouchedListing);
  });

  test('of several rows is all or none', async () => {
    await settle([await change({ next: { ...untouchedListing, base } }, y)]);
    const both = record('w', [row(x), row(y)]);
    const versions = (of: number) => [
      { listingId: x, version: 0 },
      { listingId: y, version: of },
    ];
    expect(await bench.publisher.claimWrite(shop, token, both, versions(0))).toEqual({
      kind: 'conflict',
      listings: [y],
    });
    expect(await bench.publisher.openWrites(shop)).toEqual([]);
    expect((await view(x)).state.openWrites).toEqual([]);
    expect(await bench.publisher.claimWrite(shop, token, both, versions(1))).toEqual({ kind: 'claimed' });
    expect(await bench.publisher.openWrites(shop)).toEqual([both]);
    expect((await view(x)).state).toMatchObject({
      version: 1,
      openWrites: [{ writeId: 'w', kind: 'delta', from: 9, to: 4, outcome: 'sent', token }],
    });
  });

  test('repeated after a lost reply is claimed once', async () => {
    const versions = [{ listingId: x, version: 0 }];
    const one = record('w', [row(x)], { kind: 'put' });
    expect(await bench.publisher.claimWrite(shop, token, one, versions)).toEqual({ kind: 'claimed' });
    expect(await bench.publisher.claimWrite(shop, token, one, versions)).toEqual({ kind: 'claimed' });
    expect((await view()).state).toMatchObject({ version: 1, openWrites: [{ kind: 'absolute' }] });
  });

  test('is not disturbed by an order that only raises taken', async () => {
    const { state } = await view();
    await bench.orders.applyOrder(
      order('1', [line('a', 's', { ordered: 1, takenOut: 1 }, { listingId: x })]),
      routing,
    );
    const versions = [{ listingId: x, version: state.version }];
    expect(await bench.publisher.claimWrite(shop, token, record('w', [row(x)]), versions)).toEqual({
      kind: 'claimed',
    });
  });

  test('beyond 16 open writes of a listing is refused', async () => {
    for (let i = 0; i < maxOpenWrites; i++) {
      const claimed = await bench.publisher.claimWrite(shop, token, record(`w${i}`, [row(x)]), [
        { listingId: x, version: i },
      ]);
      expect(claimed).toEqual({ kind: 'claimed' });
    }
    expect(
      await bench.publisher.claimWrite(shop, token, record('more', [row(x)]), [
        { listingId: x, version: maxOpenWrites },
      ]),
    ).toEqual({ kind: 'conflict', listings: [x] });
  });

  test.each([
    ['no rows', []],
    ['a listing twice', [row(x), row(x)]],
  ])('of %s is an error', async (_, rows) => {
    await expect(
      bench.publisher.claimWrite(shop, token, record('w', rows), [{ listingId: x, version: 0 }]),
    ).rejects.toMatchObject({ code: 'LEDGER_REQUEST_INVALID' });
  });
});

describe('a settlement', () => {
  test('stores every field of a listing, and takes it away again', async () => {
    await settle([await change({ next: full })]);
    expect((await view()).state).toEqual({ ...full, version: 1 });
    await settle([await change({ next: untouchedListing })]);
    expect((await view()).state).toEqual({ ...untouchedListing, version: 2 });
  });

  test('computed from a version that moved is refused whole', async () => {
    const stale = await change({ next: full });
    await settle([await change({ next: { ...untouchedListing, base } })]);
    const other = await change({ next: full }, y);
    expect(await settle([other, stale])).toEqual({ kind: 'conflict', listings: [x] });
    expect((await view(y)).state).toEqual(untouchedListing);
  });

  test('computed from taken units that moved is refused when it asks for that', async () => {
    const before = await change({ next: full });
    await bench.orders.applyOrder(
      order('1', [line('a', 's', { ordered: 1, takenOut: 1 }, { listingId: x })]),
      routing,
    );
    expect(await settle([{ ...before, expectedTaken: 0 }])).toEqual({ kind: 'conflict', listings: [x] });
    expect(await settle([before])).toMatchObject({ kind: 'settled' });
    expect((await view()).state).toMatchObject({ taken: 1, rises: [{ atMs: 1_000, units: 1 }], base });
  });

  test('computed before an order touched the base is refused', async () => {
    await settle([await change({ next: { ...untouchedListing, base: { ...base, asOfMs: 5_000 } } })]);
    const before = await change({ next: full });
    await bench.orders.applyOrder(
      order('1', [line('a', 's', { ordered: 1, takenOut: 1 }, { listingId: x })]),
      routing,
    );
    expect(await settle([before])).toEqual({ kind: 'conflict', listings: [x] });
    expect((await view()).state).toMatchObject({ base: { takenAt: 3 } });
  });

  test('repeated after a lost reply is applied once', async () => {
    await receive(bench, 's', 5);
    const provision = { units: 2, sku, location: main, cause: 'drop' };
    const changes = [await change({ next: full, provision })];
    const first = await settle(changes);
    expect(first.kind).toBe('settled');
    await receive(bench, 's', 1);
    expect(await settle(changes)).toEqual(first);
    expect(await levelOf(bench, 's')).toMatchObject({ reserved: 2 });
    await bench.audit();
  });

  test('under an old token only makes its listings suspect', async () => {
    await bench.publisher.markPending(shop, [], { epoch: 1, seq: 1 });
    await bench.publisher.giveUpLease(publisherLease(shop), token);
    await take('other');
    const provision = { units: 2, sku, location: main, cause: 'drop' };
    const result = await settle([await change({ next: { ...untouchedListing, base }, provision })]);
    expect(result).toEqual({ kind: 'suspected' });
    const { state } = await view();
    expect(state).toMatchObject({ suspect: true, base: undefined, provisional: 0 });
    expect(state.suspectAtMs).toBeGreaterThan(0);
    expect((await bench.publisher.pending(shop, 9)).map(({ listingId }) => listingId)).toEqual([x]);
    await bench.audit();
  });

  test('closes and keeps records', async () => {
    const versions = [{ listingId: x, version: 0 }];
    const kept = record('kept', [row(x)]);
    const closed = record('closed', [row(y)], { sentAtMs: 2_000 });
    await bench.publisher.claimWrite(shop, token, kept, versions);
    await bench.publisher.claimWrite(shop, token, closed, [{ listingId: y, version: 0 }]);
    expect((await bench.publisher.openWrites(shop)).map(({ writeId }) => writeId)).toEqual([
      'kept',
      'closed',
    ]);
    await bench.publisher.settle(shop, token, {
      changes: [],
      closeWrites: ['closed'],
      keepWrites: [{ ...kept, attempts: 2 }],
    });
    expect(await bench.publisher.openWrites(shop)).toEqual([{ ...kept, attempts: 2 }]);
  });

  test('drops a mark that is not newer, keeps one that is, and sets one', async () => {
    await bench.publisher.markPending(
      shop,
      [
        { listingId: x, seq: 5 },
        { listingId: y, seq: 9 },
      ],
      { epoch: 1, seq: 9 },
    );
    const again = listing('again');
    await settle([
      await change({ settledSeq: 5 }, x),
      await change({ settledSeq: 8 }, y),
      await change({ markPending: true }, again),
    ]);
    const pending = await bench.publisher.pending(shop, 9);
    expect(pending.map(({ listingId }) => listingId).toSorted()).toEqual([again, y].toSorted());
    // Nothing but marks was settled: whatever was computed from these states still holds.
    expect((await view(x)).state.version).toBe(0);
  });

  test('that only drops a mark drops it again when it came back', async () => {
    const drop = [await change({ settledSeq: 5 })];
    for (let round = 0; round < 2; round++) {
      await bench.publisher.markPending(shop, [{ listingId: x, seq: 5 }], { epoch: 1, seq: 9 });
      await settle(drop);
      expect(await bench.publisher.pending(shop, 9)).toEqual([]);
    }
  });

  test('of more than 1,000 changes is refused', async () => {
    const one = await change();
    await expect(settle(Array.from({ length: 1_001 }, () => one))).rejects.toMatchObject({
      code: 'LEDGER_REQUEST_INVALID',
    });
  });
});

describe('claims and settlements of one turn', () => {
  const claims = (ids: readonly ListingId[], versions: readonly number[]) =>
    ids.map((id, n) =>
      bench.publisher.claimWrite(shop, token, record(`write-${n}`, [row(id)]), [
        { listingId: id, version: versions[n] ?? 0 },
      ]),
    );

  test('share a script call', async () => {
    const ids = ['a', 'b', 'c', 'd'].map((name) => listing(name));
    await bench.publisher.readListings(shop, [{ listingId: x, sku }]);
    // Of this connection: the server's own count has the calls of other test files too.
    const calls = vi.spyOn(bench.redis, 'evalsha');
    expect(await Promise.all(claims(ids, []))).toEqual(ids.map(() => ({ kind: 'claimed' })));
    expect(calls).toHaveBeenCalledTimes(1);
    const changes = await Promise.all(ids.map((id) => change({}, id)));
    calls.mockClear();
    const settled = await Promise.all(
      changes.map((one, n) =>
        bench.publisher.settle(shop, token, { changes: [one], closeWrites: [`write-${n}`] }),
      ),
    );
    expect(settled.map(({ kind }) => kind)).toEqual(ids.map(() => 'settled'));
    expect(calls).toHaveBeenCalledTimes(1);
    calls.mockRestore();
    expect(await bench.publisher.openWrites(shop)).toEqual([]);
  });

  test('stand or fall each by itself', async () => {
    const ids = [x, listing('moved'), y];
    expect(await Promise.all(claims(ids, [0, 7, 0]))).toEqual([
      { kind: 'claimed' },
      { kind: 'conflict', listings: ['moved'] },
      { kind: 'claimed' },
    ]);
    expect((await bench.publisher.openWrites(shop)).map(({ writeId }) => writeId).toSorted()).toEqual([
      'write-0',
      'write-2',
    ]);
    const [first, second] = await Promise.all([change({}, x), change({ expectedVersion: 99 }, y)]);
    const settled = await Promise.all([
      bench.publisher.settle(shop, token, { changes: [first], closeWrites: ['write-0'] }),
      bench.publisher.settle(shop, token, { changes: [second], closeWrites: ['write-2'] }),
    ]);
    expect(settled).toMatchObject([{ kind: 'settled' }, { kind: 'conflict', listings: ['y'] }]);
    expect((await bench.publisher.openWrites(shop)).map(({ writeId }) => writeId)).toEqual(['write-2']);
  });

  test('beside a listing that has moved go once more, together', async () => {
    const ids = ['a', 'b', 'c', 'd'].map((name) => listing(name));
    await Promise.all(claims(ids, []));
    const changes = await Promise.all(ids.map((id, n) => change(n === 1 ? { expectedVersion: 99 } : {}, id)));
    const calls = vi.spyOn(bench.redis, 'evalsha');
    const settled = await Promise.all(
      changes.map((one, n) =>
        bench.publisher.settle(shop, token, { changes: [one], closeWrites: [`write-${n}`] }),
      ),
    );
    expect(settled).toMatchObject([
      { kind: 'settled' },
      { kind: 'conflict', listings: ['b'] },
      { kind: 'settled' },
      { kind: 'settled' },
    ]);
    expect(calls).toHaveBeenCalledTimes(2);
    calls.mockRestore();
    expect((await bench.publisher.openWrites(shop)).map(({ writeId }) => writeId)).toEqual(['write-1']);
  });

  test('for the same listing never both hold: the second was computed before the first', async () => {
    expect(await Promise.all(claims([x, x], [0, 0]))).toEqual([
      { kind: 'claimed' },
      { kind: 'conflict', listings: ['x'] },
    ]);
    const one = await change();
    const results = await Promise.all([
      settle([{ ...one, next: { ...one.next, suspect: true } }]),
      settle([{ ...one, next: { ...one.next, base } }]),
    ]);
    expect(results.map(({ kind }) => kind).toSorted()).toEqual(['conflict', 'settled']);
  });

  test('under an ended lease store nothing', async () => {
    await bench.publisher.giveUpLease(publisherLease(shop), token);
    expect(await Promise.all(claims([x, y], [0, 0]))).toEqual([
      { kind: 'lease-lost' },
      { kind: 'lease-lost' },
    ]);
    expect(await bench.publisher.openWrites(shop)).toEqual([]);
  });
});

describe('provisional units', () => {
  const booking = (units: number, location = main) => ({ units, sku, location, cause: 'drop' });

  test('are booked, added to where they are, and resolved, each as a movement', async () => {
    await receive(bench, 's', 5);
    await settle([await change({ provision: booking(2) })]);
    expect(await levelOf(bench, 's')).toMatchObject({ reserved: 2 });
    await settle([await change({ provision: booking(1, back) })]);
    expect(await levelOf(bench, 's')).toMatchObject({ reserved: 3 });
    expect((await view()).state.provisional).toBe(3);
    await settle([await change({ provision: { ...booking(-9, back), cause: 'edited' } })]);
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 5, reserved: 0 });
    expect((await view()).state.provisional).toBe(0);
    const kinds = (await bench.movements()).slice(2).map(({ kind, units, extra }) => [kind, units, extra]);
    expect(kinds).toEqual([
      ['provisioned', 2, 'drop'],
      ['provisioned', 1, 'drop'],
      ['provision-resolved', 3, 'edited'],
    ]);
    await bench.audit();
  });

  test('may take a level below zero: that is the signal', async () => {
    await settle([await change({ provision: booking(4) })]);
    expect(await levelOf(bench, 's')).toEqual({ onHand: 0, committed: 0, reserved: 4 });
  });

  test('are consumed by the order that explains them: availability moves once', async () => {
    await receive(bench, 's', 10);
    await settle([
      await change({
        next: { ...untouchedListing, base: { ...base, asOfMs: 9_000 } },
        provision: booking(3),
      }),
    ]);
    const before = await levelOf(bench, 's');
    await bench.orders.applyOrder(
      order('1', [line('a', 's', { ordered: 2, takenOut: 2 }, { listingId: x })]),
      { ...routing, listingKind: 'absolute' },
    );
    const after = await levelOf(bench, 's');
    expect(after).toEqual({ onHand: 10, committed: 2, reserved: 1 });
    expect(after.committed + after.reserved).toBe(before.committed + before.reserved);
    const { state } = await view();
    expect(state).toMatchObject({ taken: 2, provisional: 1, suspect: false, base: { takenAt: 4 } });
    expect((await bench.movements()).at(-1)).toMatchObject({
      kind: 'provision-resolved',
      units: 2,
      extra: 'consumed:1',
    });
    await bench.audit();
  });
});

describe('what the platform took', () => {
  test('when it is not known makes the listing suspect, once', async () => {
    const lines = [line('a', 's', { ordered: 1 }, { listingId: x, takenIsKnown: false })];
    await bench.orders.applyOrder(order('1', lines), routing);
    expect((await view()).state).toMatchObject({ suspect: true });
    await settle([await change({ next: untouchedListing })]);
    // The same news again is no news.
    await bench.orders.applyOrder(order('1', lines, { source: 'fetch', beganAtMs: 9_000 }), routing);
    expect((await view()).state).toMatchObject({ suspect: false });
  });

  test('is counted on the listing that is named later', async () => {
    await bench.orders.applyOrder(order('1', [line('a', 's', { ordered: 2, takenOut: 2 })]), routing);
    const named = line('a', 's', { ordered: 2, takenOut: 2, givenBack: 1, cancelled: 1 }, { listingId: x });
    await bench.orders.applyOrder(order('1', [named]), routing);
    expect((await view()).state.taken).toBe(1);
    await bench.orders.applyOrder(order('1', [named]), routing);
    expect((await view()).state.taken).toBe(1);
    await bench.audit();
  });
});
