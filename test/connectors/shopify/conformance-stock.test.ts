import { describe, expect, test } from 'vitest';
import { setTimeout as delay } from 'node:timers/promises';
import { ManualClock } from '../../../sandbox/shopify/clock.ts';
import type { PlatformListing, WriteBatch } from '../../../src/connectors/connector.ts';
import { webhookTopics } from '../../../src/connectors/shopify/subscriptions.ts';
import { everything, never, rejection, rigFor } from './parts.ts';
import { listed, sandboxRig } from './sandbox-shop.ts';

const batch = (
  kind: WriteBatch['kind'],
  key: string,
  ...rows: (readonly [PlatformListing, number, number])[]
): WriteBatch => ({
  key,
  kind,
  reference: '1-42',
  rows: rows.map(([{ ref }, from, to]) => ({ ref, from, to })),
});

/** For one write that is never answered. Long enough for a pause of the process before the shop has read it. */
const withLittleTime = { requestTimeoutMs: 3_000 };

describe('writes to the emulated shop', () => {
  test('a lowering commutes with a sale that nobody has seen; a raise on the old belief is stale', async () => {
    await using rig = await sandboxRig();
    for (const sku of ['A', 'B']) rig.shop.addItem({ sku, quantities: 10 });
    const listings = await rig.listings();
    const [a, b] = [listed(listings, 'A'), listed(listings, 'B')];
    rig.shop.placeOrder({ lines: [{ sku: 'A', quantity: 1 }] });
    expect((await rig.connector.write(batch('lower', 'k1', [a, 10, 8], [b, 10, 9]), never)).rows).toEqual([
      { kind: 'confirmed' },
      { kind: 'confirmed' },
    ]);
    expect([rig.shop.available('A'), rig.shop.available('B')]).toEqual([7, 9]);
    expect((await rig.connector.write(batch('raise', 'k2', [a, 8, 9], [b, 9, 12]), never)).rows).toEqual([
      { kind: 'stale' },
      { kind: 'not-applied' },
    ]);
    expect((await rig.connector.write(batch('raise', 'k3', [b, 9, 12]), never)).rows).toEqual([
      { kind: 'confirmed' },
    ]);
    expect([rig.shop.available('A'), rig.shop.available('B')]).toEqual([7, 12]);
    expect((await rig.connector.write(batch('repair', 'k4', [a, 8, 5]), never)).rows).toEqual([
      { kind: 'stale' },
    ]);
    expect((await rig.connector.write(batch('repair', 'k5', [a, 7, 5]), never)).rows).toMatchObject([
      { kind: 'confirmed' },
    ]);
    expect(rig.shop.available('A')).toBe(5);
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test.each(['lose-response', 'hang-after', 'status-after', 'truncate'] as const)(
    'after "%s" the repeat with the same key applies once',
    async (kind) => {
      await using rig = await sandboxRig();
      rig.shop.addItem({ sku: 'A', quantities: 10 });
      const a = listed(await rig.listings(), 'A');
      rig.shop.setFaults([{ kind, operation: 'AdjustAvailable', count: 1, status: 502 }]);
      const write = batch('lower', 'one-key', [a, 10, 7]);
      const first = kind === 'hang-after' ? rig.another(withLittleTime) : rig.connector;
      expect((await first.write(write, never)).rows).toMatchObject([{ kind: 'unknown' }]);
      expect(rig.shop.available('A'), 'it was applied, though nobody said so').toBe(7);
      expect((await rig.connector.write(write, never)).rows).toEqual([{ kind: 'confirmed' }]);
      expect(rig.shop.available('A')).toBe(7);
    },
  );

  test.each(['reset', 'hang', 'html', 'status'] as const)(
    'after "%s" before execution it is unknown too, and the repeat applies it',
    async (kind) => {
      await using rig = await sandboxRig();
      rig.shop.addItem({ sku: 'A', quantities: 10 });
      const a = listed(await rig.listings(), 'A');
      rig.shop.setFaults([{ kind, operation: 'AdjustAvailable', count: 1, status: 503 }]);
      const write = batch('lower', 'one-key', [a, 10, 7]);
      const first = kind === 'hang' ? rig.another(withLittleTime) : rig.connector;
      expect((await first.write(write, never)).rows).toMatchObject([{ kind: 'unknown' }]);
      expect(rig.shop.available('A')).toBe(10);
      expect((await rig.connector.write(write, never)).rows).toEqual([{ kind: 'confirmed' }]);
      expect(rig.shop.available('A')).toBe(7);
    },
  );

  test.each([
    ['idempotency-concurrent', 'unknown'],
    ['service-unavailable', 'unknown'],
    ['idempotency-previous-failed', 'key-spent'],
  ] as const)('"%s" is %s', async (kind, outcome) => {
    await using rig = await sandboxRig();
    rig.shop.addItem({ sku: 'A', quantities: 10 });
    const a = listed(await rig.listings(), 'A');
    rig.shop.setFaults([{ kind, operation: 'AdjustAvailable', count: 1 }]);
    expect((await rig.connector.write(batch('lower', 'k', [a, 10, 7]), never)).rows).toMatchObject([
      { kind: outcome },
    ]);
    expect(rig.shop.available('A')).toBe(10);
  });

  test('a key that comes back with other rows is a defect, and changes nothing', async () => {
    await using rig = await sandboxRig();
    rig.shop.addItem({ sku: 'A', quantities: 10 });
    const a = listed(await rig.listings(), 'A');
    await rig.connector.write(batch('lower', 'k', [a, 10, 7]), never);
    expect((await rejection(rig.connector.write(batch('lower', 'k', [a, 10, 6]), never))).code).toBe(
      'CONNECTOR_KEY_MISMATCH',
    );
    expect(rig.shop.available('A')).toBe(7);
  });

  test('a token that expires in the middle of a batch of calls is renewed once', async () => {
    await using rig = await sandboxRig();
    for (let index = 0; index < 8; index++) rig.shop.addItem({ sku: `S${index}`, quantities: 10 });
    const listings = await rig.listings();
    const renewalsBefore = rig.tokens.renewals;
    rig.shop.tokens.expireAccessTokens();
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        rig.connector.write(batch('lower', `k${index}`, [listed(listings, `S${index}`), 10, 9]), never),
      ),
    );
    expect(results.flatMap((result) => result.rows)).toEqual(
      Array.from({ length: 8 }, () => ({ kind: 'confirmed' })),
    );
    expect(rig.tokens.renewals - renewalsBefore).toBe(1);
    for (let index = 0; index < 8; index++) expect(rig.shop.available(`S${index}`)).toBe(9);
  });

  test('one bad row of a large batch is named and nothing of the batch is applied', async () => {
    await using rig = await sandboxRig();
    for (let index = 0; index < 20; index++) rig.shop.addItem({ sku: `S${index}`, quantities: 10 });
    rig.shop.addItem({ sku: 'KIT', bundle: [{ sku: 'S1', quantity: 1 }] });
    const listings = await rig.listings();
    const rows = Array.from({ length: 20 }, (_, index) => [listed(listings, `S${index}`), 10, 9] as const);
    const parent = rig.shop.item('KIT');
    const location = listed(listings, 'S1').ref.locationId;
    const kit = {
      ...listed(listings, 'S1'),
      ref: { key: `${parent.number}@${location}`, itemId: parent.number, locationId: location },
    };
    const result = await rig.connector.write(
      batch('lower', 'k', ...rows.slice(0, 9), [kit, 5, 4], ...rows.slice(9)),
      never,
    );
    expect(result.rows[9]).toMatchObject({ kind: 'rejected', isPermanent: true });
    expect(result.rows.filter((row) => row.kind === 'not-applied')).toHaveLength(20);
    expect(rig.shop.available('S1')).toBe(10);
  });

  test('a drained bucket throttles, tells the wait, and lets through after it', async () => {
    // The bucket fills by this clock alone.
    const clock = new ManualClock(Date.now());
    await using rig = await sandboxRig({}, { maxWriteWaitMs: 0 }, clock);
    rig.shop.addItem({ sku: 'A', quantities: 10 });
    const a = listed(await rig.listings(), 'A');
    const write = batch('lower', 'k', [a, 10, 9]);
    rig.shop.bucket.drain();
    const throttled = await rig.connector.write(write, never);
    expect(throttled).toMatchObject({ rows: [{ kind: 'not-applied' }] });
    const waitMs = throttled.throttledForMs ?? 0;
    expect(waitMs).toBeGreaterThan(0);
    expect(waitMs).toBeLessThan(1_000);
    // One that was told nothing yet asks too early.
    clock.advance(waitMs - 10);
    expect((await rig.another().write(write, never)).rows).toEqual([{ kind: 'not-applied' }]);
    clock.advance(10);
    // The limiter on our side waits by the real clock.
    await delay(waitMs + 50);
    expect((await rig.connector.write(write, never)).rows).toEqual([{ kind: 'confirmed' }]);
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('nothing goes out after the time of the call is over', async () => {
    await using rig = await sandboxRig();
    rig.shop.addItem({ sku: 'A', quantities: 10 });
    const a = listed(await rig.listings(), 'A');
    const controller = new AbortController();
    controller.abort(new Error('the lease is over'));
    await expect(rig.connector.write(batch('lower', 'k', [a, 10, 9]), controller.signal)).rejects.toThrow();
    expect(rig.shop.available('A')).toBe(10);
  });
});

describe('connections', () => {
  test('one that is refused: nothing was sent, and the error says so', async () => {
    // A port that no other process of the machine is given meanwhile.
    const rig = rigFor({ baseUrl: 'http://127.0.0.1:1' });
    const ref = { key: '1@2', itemId: '1', locationId: '2' };
    const error = await rejection(
      rig.connector.write(
        { key: 'k', kind: 'lower', reference: '1-1', rows: [{ ref, from: 2, to: 1 }] },
        never,
      ),
    );
    expect(error).toMatchObject({ code: 'CONNECTOR_UNREACHABLE', fields: { isSent: false } });
  });

  test('two shops with one domain and different addresses never mix in one process', async () => {
    await using first = await sandboxRig();
    await using second = await sandboxRig();
    first.shop.addItem({ sku: 'A', quantities: 1 });
    second.shop.addItem({ sku: 'A', quantities: 2 });
    const refs = {
      first: listed(await first.listings(), 'A').ref,
      second: listed(await second.listings(), 'A').ref,
    };
    const reads = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const name = index % 2 === 0 ? 'first' : 'second';
        const read = await (name === 'first' ? first : second).connector.readStock([refs[name]], never);
        return [name, read.rows[0]?.value];
      }),
    );
    for (const [name, value] of reads) expect(value).toBe(name === 'first' ? 1 : 2);
  });
});

describe('reads of the emulated shop', () => {
  test('levels come with a time from before the question, and what is not there is no zero', async () => {
    await using rig = await sandboxRig();
    rig.shop.addItem({ sku: 'A', quantities: 0 });
    rig.shop.addItem({ sku: 'B', quantities: -0 });
    const a = listed(await rig.listings(), 'A').ref;
    const beganAtMs = Date.now();
    const unknown = { key: '1@2', itemId: '1', locationId: a.locationId };
    const elsewhere = { key: `${a.itemId}@9`, itemId: a.itemId, locationId: '9' };
    const read = await rig.connector.readStock([a, unknown, elsewhere], never);
    expect(read.rows).toMatchObject([{ key: a.key, value: 0, isActive: true }]);
    expect(read.rows[0]?.readAtMs).toBeGreaterThanOrEqual(beganAtMs);
    expect(read.rows[0]?.readAtMs).toBeLessThanOrEqual(Date.now());
    expect(read.missing.toSorted()).toEqual([unknown.key, elsewhere.key].toSorted());
  });

  test('levels are dated by the clock of the shop, which is in the answers', async () => {
    const aheadMs = 3_600_000;
    const beganAtMs = Date.now();
    await using rig = await sandboxRig({}, {}, new ManualClock(beganAtMs + aheadMs));
    rig.shop.addItem({ sku: 'A', quantities: 1 });
    const read = await rig.connector.readStock([listed(await rig.listings(), 'A').ref], never);
    expect(read.rows[0]?.readAtMs).toBeGreaterThan(beganAtMs + aheadMs - 60_000);
  });

  test('hundreds of levels at several locations take one request per location and 250 items', async () => {
    await using rig = await sandboxRig({ rateLimit: false });
    rig.shop.addLocation({ name: 'Second' });
    for (let index = 0; index < 260; index++)
      rig.shop.addItem({ sku: `S${index}`, quantities: { 'Shop location': index, Second: -index } });
    const refs = (await everything(rig.connector.readListings(null, never))).flatMap((page) =>
      page.listings.map((listing) => listing.ref),
    );
    expect(refs).toHaveLength(520);
    const before = rig.sandbox.records.requests
      .all()
      .filter((request) => request.operation === 'ItemLevelsBatch').length;
    const read = await rig.connector.readStock(refs, never);
    expect(read.rows).toHaveLength(520);
    expect(read.rows.reduce((sum, row) => sum + row.value, 0)).toBe(0);
    const after = rig.sandbox.records.requests
      .all()
      .filter((request) => request.operation === 'ItemLevelsBatch').length;
    expect(after - before).toBe(4);
  });

  test('an untracked item is not called inactive', async () => {
    await using rig = await sandboxRig();
    rig.shop.addItem({ sku: 'LOOSE', quantities: 1, tracked: false });
    const { ref } = listed(await rig.listings(), 'LOOSE');
    const { rows } = await rig.connector.readStock([ref], never);
    expect(rows).toMatchObject([{ isActive: false, reason: 'the platform does not track its stock' }]);
  });

  test('a repair says when it was applied, by the clock of the shop', async () => {
    await using rig = await sandboxRig();
    rig.shop.addItem({ sku: 'A', quantities: 3 });
    const listing = listed(await rig.listings(), 'A');
    const beforeMs = Math.floor(Date.now() / 1_000) * 1_000;
    const { rows } = await rig.connector.write(batch('repair', 'k', [listing, 3, 5]), never);
    const [row] = rows;
    expect(row?.kind).toBe('confirmed');
    const appliedAtMs = row?.kind === 'confirmed' ? row.appliedAtMs : undefined;
    expect(appliedAtMs).toBeGreaterThanOrEqual(beforeMs);
    expect(appliedAtMs).toBeLessThanOrEqual(Date.now());
  });

  const problemShop = async (overrides = {}) => {
    const rig = await sandboxRig({ rateLimit: false }, overrides);
    rig.shop.addLocation({ name: 'Service', isFulfillmentService: true });
    rig.shop.addItem({ sku: 'GOOD', quantities: 3 });
    rig.shop.addItem({ sku: 'TWICE', quantities: 1 });
    rig.shop.addItem({ sku: 'TWICE', quantities: 2 });
    rig.shop.addItem({ sku: null, quantities: 1 });
    rig.shop.addItem({ sku: 'LOOSE', quantities: 1, tracked: false });
    rig.shop.addItem({ sku: 'KIT', quantities: 0, bundle: [{ sku: 'GOOD', quantity: 2 }] });
    rig.shop.addItem({ sku: 'ENDLESS', quantities: 1, policy: 'CONTINUE' });
    rig.shop.addItem({ sku: 'AWAY', quantities: { Service: 4 } });
    return rig;
  };
  const expected = {
    GOOD: [],
    TWICE: ['duplicate-sku'],
    '': ['missing-sku'],
    LOOSE: ['untracked'],
    KIT: ['bundle-parent'],
    ENDLESS: ['oversells-by-policy'],
    AWAY: ['foreign-stock'],
  };

  test.each([
    ['pages', {}],
    ['a bulk operation', { bulkFromVariants: 1, bulkPollMs: 10 }],
  ])('the catalogue by %s names every problem', async (_name, overrides) => {
    await using rig = await problemShop(overrides);
    const listings = await rig.listings();
    const found = Object.fromEntries([...listings].map(([sku, listing]) => [sku, listing.problems]));
    expect(found).toEqual(expected);
    expect(listed(listings, 'GOOD')).toMatchObject({
      value: 3,
      itemAliases: [`variant:${rig.shop.item('GOOD').variant.number}`],
    });
    const requests = rig.sandbox.records.requests.all().map((request) => request.operation);
    expect(requests.includes('BulkRun')).toBe('bulkFromVariants' in overrides);
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('only configured locations are listed', async () => {
    await using rig = await sandboxRig();
    const second = rig.shop.addLocation({ name: 'Second' });
    rig.shop.addItem({ sku: 'A', quantities: { 'Shop location': 1, Second: 2 } });
    const limited = rigFor({
      baseUrl: rig.shop.baseUrl,
      credentials: { kind: 'static', accessToken: rig.shop.tokens.issueStatic() },
      locations: [second.id],
    });
    const pages = await everything(limited.connector.readListings(null, never));
    expect(pages.flatMap((page) => page.listings)).toMatchObject([
      { ref: { locationId: second.number }, value: 2 },
    ]);
  });

  test('a paged catalogue is continued from its cursor', async () => {
    await using rig = await sandboxRig({ rateLimit: false });
    for (let index = 0; index < 250; index++) rig.shop.addItem({ sku: `S${index}`, quantities: 1 });
    const [first] = await everything(rig.connector.readListings(null, never));
    const rest = await everything(rig.connector.readListings(first?.cursor ?? '', never));
    expect((first?.listings.length ?? 0) + rest.flatMap((page) => page.listings).length).toBe(250);
  });

  test('a bulk result is read again from its cursor, without a second operation', async () => {
    await using rig = await sandboxRig({ rateLimit: false }, { bulkFromVariants: 1, bulkPollMs: 10 });
    for (let index = 0; index < 1_200; index++) rig.shop.addItem({ sku: `S${index}`, quantities: index });
    const pages = await everything(rig.connector.readListings(null, never));
    expect(pages.flatMap((page) => page.listings)).toHaveLength(1_200);
    expect(pages.at(-1)?.cursor).toBeNull();
    const again = await everything(rig.connector.readListings(pages[0]?.cursor ?? '', never));
    expect(again.flatMap((page) => page.listings)).toHaveLength(1_200);
    expect(rig.shop.bulk.all()).toHaveLength(1);
  });

  test('a bulk operation that fails is an error, never an empty catalogue', async () => {
    await using rig = await sandboxRig({}, { bulkFromVariants: 0, bulkPollMs: 10 });
    for (let index = 0; index < 10; index++) rig.shop.addItem({ sku: `S${index}`, quantities: 1 });
    Object.assign(rig.shop.bulk.settings, {
      rowsPerSlice: 2,
      failNext: { afterSlices: 1, errorCode: 'INTERNAL_SERVER_ERROR' },
    });
    expect((await rejection(everything(rig.connector.readListings(null, never)))).code).toBe(
      'CONNECTOR_BULK_FAILED',
    );
  });
});

describe('subscriptions and access', () => {
  const target = { callbackUrl: 'http://127.0.0.1:9/webhooks/alpha' };

  test('are created once, then found', async () => {
    await using rig = await sandboxRig();
    const empty = await rig.connector.checkSubscriptions(target, never);
    expect(empty.present).toEqual([]);
    const created = await rig.connector.subscribe(target, never);
    expect(created.created).toEqual(empty.missing);
    expect((await rig.connector.subscribe(target, never)).created).toEqual([]);
    expect(await rig.connector.checkSubscriptions(target, never)).toMatchObject({
      missing: [],
      problems: [],
    });
    expect(rig.shop.subscriptions.all()).toHaveLength(created.created.length);
  });

  test('are made once, however many ask at once', async () => {
    await using rig = await sandboxRig();
    const other = await rig.connector.checkSubscriptions(target, never);
    const reports = await Promise.all([1, 2, 3].map(() => rig.connector.subscribe(target, never)));
    expect(reports.flatMap((report) => report.problems)).toEqual([]);
    expect(reports.map((report) => report.created.length)).toEqual([other.missing.length, 0, 0]);
  });

  test('that another daemon made meanwhile are no problem', async () => {
    await using rig = await sandboxRig();
    const secret = rig.shop.tokens.app.clientSecret;
    const { clientId } = rig.shop.tokens.app;
    const credentials = { kind: 'client-credentials', clientId, clientSecret: secret } as const;
    const { connector } = rigFor({ baseUrl: rig.shop.baseUrl, credentials });
    const reports = await Promise.all([
      rig.connector.subscribe(target, never),
      connector.subscribe(target, never),
    ]);
    expect(reports.flatMap((report) => report.problems)).toEqual([]);
    expect(rig.shop.subscriptions.all()).toHaveLength(webhookTopics.length);
  });

  test('that point elsewhere, vanished or leave fields out are repaired', async () => {
    await using rig = await sandboxRig();
    await rig.connector.subscribe({ callbackUrl: 'http://127.0.0.1:9/old' }, never);
    const [gone] = rig.shop.subscriptions.all();
    if (gone !== undefined) rig.shop.subscriptions.delete(gone.id);
    const report = await rig.connector.checkSubscriptions(target, never);
    expect(report.missing).toHaveLength(1);
    expect(report.problems.length).toBe(rig.shop.subscriptions.all().length);
    await rig.connector.subscribe(target, never);
    expect(await rig.connector.checkSubscriptions(target, never)).toMatchObject({
      missing: [],
      problems: [],
    });
    expect(new Set(rig.shop.subscriptions.all().map(({ uri }) => uri))).toEqual(
      new Set([target.callbackUrl]),
    );
  });

  test('missing scopes are named one by one', async () => {
    await using rig = await sandboxRig({ scopes: ['read_inventory', 'read_products'] });
    expect(await rig.connector.checkAccess(never)).toMatchObject({
      kind: 'needs-attention',
      reason: 'the app lacks the scopes write_inventory, read_locations, read_orders',
    });
  });

  test('an uninstalled app needs attention', async () => {
    await using rig = await sandboxRig();
    expect((await rig.connector.checkAccess(never)).kind).toBe('ok');
    rig.shop.uninstallApp();
    expect((await rig.connector.checkAccess(never)).kind).toBe('needs-attention');
  });
});
