import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../../sandbox/shopify/clock.ts';
import { AmazonSandbox } from '../../../sandbox/amazon/server.ts';
import { createAmazonConnector } from '../../../src/connectors/amazon/amazon-connector.ts';
import { MemoryLog, MemoryTokens, never, rejection } from '../shopify/parts.ts';
import { MemoryBuckets, marketplaceId, orderIdsOf, sellerId, walkOf } from './parts.ts';

const minute = 60_000;
/** One clock for both sides: the two-minute hole and the lives of tokens are tested to the millisecond. */
let clock: ManualClock;
let sandbox: AmazonSandbox;
let limiter: MemoryBuckets;
let log: MemoryLog;

beforeEach(async () => {
  clock = new ManualClock();
  sandbox = new AmazonSandbox({ clock });
  await sandbox.listen(0, '127.0.0.1');
  sandbox.addSeller({ sellerId, settings: { rateLimit: false } });
  seller().addListing({ sku: 'MUG-1', quantity: 1_000_000 });
  limiter = new MemoryBuckets();
  log = new MemoryLog();
});
afterEach(() => sandbox.stop());

const seller = () => sandbox.seller(sellerId);

function connector() {
  return createAmazonConnector({
    sellerId,
    marketplaceIds: [marketplaceId],
    region: 'na',
    baseUrl: sandbox.url,
    authUrl: sandbox.url,
    credentials: { ...seller().tokens.credentials },
    webhookSecrets: [],
    limiter,
    tokens: new MemoryTokens(),
    clock: { nowMs: () => clock.now() },
    log,
    maxPollWaitMs: 20,
  });
}

function place(): string {
  const placed = seller().orders.place({ lines: [{ sku: 'MUG-1', quantity: 1 }] });
  if (placed.kind !== 'accepted') throw new Error(placed.kind);
  return placed.order.orderId;
}

const searches = () => sandbox.records.exchanges.all().filter((of) => of.operation === 'searchOrders');
const walk = (cursor: string | null, overlapMs = 5 * minute) =>
  walkOf(connector(), cursor, { sinceMs: clock.now() - 60 * minute, overlapMs });
const cursorOf = (pages: Awaited<ReturnType<typeof walk>>) => pages.at(-1)?.cursor ?? null;

/** The first walk proves both bounds, so that the next one begins the turns. */
async function settled(): Promise<string | null> {
  return cursorOf(await walk(null));
}

describe('Amazon refuses or misbehaves', () => {
  test('an answer without its list is no empty walk', async () => {
    seller().setFaults([{ kind: 'truncate', operation: 'searchOrders' }]);
    expect((await rejection(walk(null))).code).toBe('CONNECTOR_UNREACHABLE');
  });

  test('no access ends the walk before any bound is claimed', async () => {
    seller().tokens.revoke();
    expect((await rejection(walk(null))).code).toBe('CONNECTOR_ACCESS_DENIED');
  });

  test('without budget the walk ends where it is, claims nothing and is no failure', async () => {
    await walk(null);
    expect(limiter.taken.find(({ operation }) => operation === 'searchOrders')).toEqual({
      operation: 'searchOrders',
      budget: { capacity: 19, refillPerS: 0.0056 },
    });
    const asked = searches().length;
    limiter.empty.add('searchOrders');
    expect(await walk(null)).toEqual([]);
    limiter.empty.clear();
    seller().setFaults([{ kind: 'throttled', operation: 'searchOrders' }]);
    expect(await walk(null)).toEqual([]);
    expect(limiter.learned.at(-1)?.budget).toMatchObject({ available: 0 });
    expect(searches()).toHaveLength(asked);
  });

  test('an unreadable cursor starts anew instead of skipping orders', async () => {
    const orderId = place();
    clock.advance(3 * minute);
    expect(orderIdsOf(await walk('{"updated":7}'))).toEqual([orderId]);
    expect(log.lines.map((line) => line.level)).toContain('warn');
  });
});

test('an order inside the two minutes that Amazon keeps back is found by the next walk', async () => {
  const cursor = await settled();
  const orderId = place();
  clock.advance(minute);
  const early = await walk(cursor);
  expect(orderIdsOf(early)).toEqual([]);
  clock.advance(2 * minute);
  expect(orderIdsOf(await walk(cursorOf(early)))).toEqual([orderId]);
});

test('the bound is the one Amazon states, two minutes back, and never moves back', async () => {
  const cursor = await settled();
  const bound = JSON.parse(cursor ?? '') as { updated: string; created: string };
  expect(Date.parse(bound.updated)).toBe(clock.now() - 2 * minute);
  seller().settings.orderHoleMs = 30 * minute;
  const pages = await walk(cursor);
  const after = JSON.parse(cursorOf(pages) ?? '') as { updated: string };
  expect(after.updated).toBe(bound.updated);
});

test('without a stated bound the walk claims less than it asked for', async () => {
  seller().settings.hideOrderBound = true;
  const pages = await walk(null);
  expect(pages.at(-1)?.walk?.upperBoundMs).toBeLessThanOrEqual(clock.now() - 2 * minute);
});

test('the two kinds of search take turns, one request each', async () => {
  let cursor = await settled();
  expect(searches()).toHaveLength(2);
  for (const kind of ['lastUpdatedAfter', 'createdAfter', 'lastUpdatedAfter']) {
    clock.advance(3 * minute);
    cursor = cursorOf(await walk(cursor));
    expect(Object.keys(searches().at(-1)?.query ?? {})).toContain(kind);
  }
  expect(searches()).toHaveLength(5);
  expect(sandbox.violations()).toEqual([]);
});

test('an order that keeps changing hides from searches by update, so only the one by creation proves', async () => {
  const cursor = await settled();
  const orderId = place();
  const placedAtMs = clock.now();
  clock.advance(3 * minute);
  // Touched again inside the hole: its earlier change is out of every window.
  seller().orders.confirm(orderId);
  clock.advance(minute);
  const byUpdate = await walk(cursor);
  expect(orderIdsOf(byUpdate)).toEqual([]);
  expect(byUpdate.at(-1)?.walk?.upperBoundMs).toBeLessThan(placedAtMs);
  const byCreation = await walk(cursorOf(byUpdate));
  expect(orderIdsOf(byCreation)).toEqual([orderId]);
  expect(byCreation.at(-1)?.walk?.upperBoundMs).toBeGreaterThanOrEqual(placedAtMs);
});

describe('pages', () => {
  beforeEach(() => {
    seller().settings.ordersPerPage = 2;
  });

  test('all parameters stay the same from page to page', async () => {
    const ids = [place(), place(), place(), place(), place()];
    clock.advance(3 * minute);
    const pages = await walk(null);
    expect([...orderIdsOf(pages)].toSorted()).toEqual(ids.toSorted());
    expect(sandbox.violations()).toEqual([]);
    const first = searches().slice(0, 3);
    const withoutToken = first.map(({ query: { paginationToken: _token, ...rest } }) => rest);
    expect(new Set(withoutToken.map((query) => JSON.stringify(query))).size).toBe(1);
  });

  test('only the last page of a walk claims its bound', async () => {
    for (let count = 0; count < 5; count++) place();
    clock.advance(3 * minute);
    const pages = await walk(null);
    expect(pages.slice(0, -1).every((page) => page.walk === undefined)).toBe(true);
    expect(pages.at(-1)?.walk).toBeDefined();
  });

  test('a walk that was cut off goes on at its page, without asking for the ones before', async () => {
    const ids = [place(), place(), place(), place(), place()];
    clock.advance(3 * minute);
    const seen: string[] = [];
    let cursor: string | null = null;
    for await (const page of connector().pollOrders({
      cursor: null,
      sinceMs: 0,
      overlapMs: 0,
      signal: never,
    })) {
      seen.push(...page.orders.map((order) => order.orderId));
      cursor = page.cursor;
      break;
    }
    expect(searches()).toHaveLength(1);
    const rest = await walk(cursor, 0);
    const byUpdate = rest.slice(0, 2).flatMap((page) => page.orders.map((order) => order.orderId));
    expect([...seen, ...byUpdate]).toEqual(ids);
  });

  test('a budget that ends in the middle of a walk costs no page', async () => {
    const ids = [place(), place(), place(), place(), place()];
    clock.advance(3 * minute);
    const first: string[] = [];
    let cursor: string | null = null;
    for await (const page of connector().pollOrders({
      cursor: null,
      sinceMs: 0,
      overlapMs: 0,
      signal: never,
    })) {
      first.push(...page.orders.map((order) => order.orderId));
      cursor = page.cursor;
      limiter.empty.add('searchOrders');
    }
    expect(first).toEqual(ids.slice(0, 2));
    limiter.empty.clear();
    const rest = await walk(cursor, 0);
    expect(new Set([...first, ...orderIdsOf(rest)])).toEqual(new Set(ids));
    expect(rest.at(-1)?.walk).toBeDefined();
  });

  test('a token that is too old, or refused, costs a new search and no order', async () => {
    const ids = [place(), place(), place()];
    clock.advance(3 * minute);
    const pages = await walk(null);
    const cut = pages[0]?.cursor ?? null;
    clock.advance(30 * 60 * minute);
    expect([...orderIdsOf(await walkOf(connector(), cut, { sinceMs: 0 }))].toSorted()).toEqual(
      ids.toSorted(),
    );
    const forged = JSON.parse(cut ?? '') as { open: { token: string; sinceMs: number } };
    forged.open.token = 'bm9uc2Vuc2U=';
    forged.open.sinceMs = clock.now();
    const again = await walkOf(connector(), JSON.stringify(forged), { sinceMs: 0 });
    expect([...orderIdsOf(again)].toSorted()).toEqual(ids.toSorted());
  });
});
