import nock from 'nock';
import { afterEach, describe, expect, test } from 'vitest';
import type { Order } from '../../../sandbox/tiktok/model.ts';
import type { OrderPage } from '../../../src/connectors/connector.ts';
import { never, rejection } from '../shopify/parts.ts';
import { type SandboxRig, ordersOf, poll, rigFor, sandboxRig, shopId } from './parts.ts';

const secondMs = 1_000;

function place({ shop }: SandboxRig, sku = 'MUG'): Order {
  const placed = shop.orders.place({ lines: [{ sku }] });
  if (placed.kind === 'refused') throw new Error('refused');
  return placed.order;
}

async function rigWithStock(...options: Parameters<typeof sandboxRig>): Promise<SandboxRig> {
  const rig = await sandboxRig(...options);
  rig.shop.inventory.addProduct({ skus: [{ sku: 'MUG', quantities: 10_000 }] });
  return rig;
}

/** Dates an order as if it had changed then. */
function age(order: Order, ms: number): void {
  const updatedAt = Date.now() - ms;
  Object.assign(order, { createdAt: updatedAt, updatedAt });
  order.index.splice(0, order.index.length, { updatedAt, visibleAt: updatedAt });
}

const searches = ({ sandbox }: SandboxRig): number =>
  sandbox.records.requests.all().filter(({ operation }) => operation === 'orders-search').length;
const walkOf = (pages: readonly OrderPage[]) => pages.at(-1)?.walk;

describe('a walk', () => {
  test('finds every order once, oldest change first, over pages and through a page of one second', async () => {
    await using rig = await rigWithStock();
    const placed = Array.from({ length: 350 }, () => place(rig));
    // 230 orders of one second in the middle: only a page token leads through them.
    placed.forEach((order, index) =>
      age(order, (index < 60 ? 900 - index : index < 290 ? 500 : 400 - index + 290) * secondMs),
    );
    const pages = await poll(rig.connector);
    const found = pages.flatMap(({ orders }) => orders);
    expect(found).toHaveLength(350);
    expect(new Set(found.map(({ orderId }) => orderId)).size).toBe(350);
    const times = found.map(({ changedAtMs }) => changedAtMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('loses no order when others leave its window while it pages', async () => {
    await using rig = await rigWithStock();
    const placed = Array.from({ length: 300 }, () => place(rig));
    placed.forEach((order, index) => age(order, (900 - index) * secondMs));
    const walk = rig.connector.pollOrders({
      cursor: null,
      sinceMs: Date.now() - 3_600_000,
      overlapMs: 0,
      signal: never,
    });
    const found = new Set<string>();
    let page = 0;
    for await (const { orders } of walk) {
      for (const { orderId } of orders) found.add(orderId);
      // Fifty orders that were already shown change now: everything behind them moves up by fifty rows.
      if (page++ === 0) for (const order of placed.slice(0, 50)) rig.shop.orders.pay(order);
    }
    expect(found.size).toBe(300);
  });

  test('moves its cursor at its end only, to the end of its window', async () => {
    await using rig = await rigWithStock({}, { orderIndexLagMs: 5_000 });
    const placed = Array.from({ length: 150 }, () => place(rig));
    placed.forEach((order, index) => age(order, (900 - index) * secondMs));
    const beforeS = Math.floor(Date.now() / 1_000) - 5;
    const pages = await poll(rig.connector);
    expect(pages.length).toBeGreaterThan(1);
    expect(pages.slice(0, -1).every(({ cursor, walk }) => cursor === null && walk === undefined)).toBe(true);
    const walk = walkOf(pages);
    expect(Number(walk?.cursor)).toBeGreaterThanOrEqual(beforeS - 1);
    expect(Number(walk?.cursor)).toBeLessThanOrEqual(Math.floor(Date.now() / 1_000) - 5);
    expect(walk?.upperBoundMs).toBe(Number(walk?.cursor) * 1_000 - 1);
  });

  test('a quiet shop completes it too', async () => {
    await using rig = await rigWithStock();
    const beforeMs = Date.now();
    const pages = await poll(rig.connector);
    expect(pages).toHaveLength(1);
    expect(walkOf(pages)?.upperBoundMs).toBeGreaterThan(beforeMs - 5_000);
  });

  test('what changed after its window was frozen belongs to the next one', async () => {
    await using rig = await rigWithStock({}, { orderIndexLagMs: 20_000 });
    const order = place(rig);
    const first = await poll(rig.connector);
    expect(ordersOf(first).size).toBe(0);
    rig.advance(78_000);
    age(order, 0);
    const cursor = walkOf(first)?.cursor ?? null;
    await expect.poll(async () => ordersOf(await poll(rig.connector, { cursor })).size).toBe(1);
  });

  test('sees an order again that the index showed late, because it overlaps the walk before', async () => {
    await using rig = await rigWithStock();
    const order = place(rig);
    age(order, 10_000);
    // The index does not show it yet.
    const [shown] = order.index.splice(0);
    const first = await poll(rig.connector);
    expect(ordersOf(first).size).toBe(0);
    const cursor = walkOf(first)?.cursor ?? null;
    expect(Number(cursor) * secondMs).toBeGreaterThan(order.updatedAt);
    if (shown !== undefined) order.index.push(shown);
    expect(ordersOf(await poll(rig.connector, { cursor })).has(order.id)).toBe(true);
  });

  test('after an outage it looks back for as long as TikTok repeats deliveries', async () => {
    await using rig = await rigWithStock();
    const order = place(rig);
    const nowS = Math.floor(Date.now() / 1_000);
    age(order, 16 * 3_600_000);
    const since = (cursorS: number) => poll(rig.connector, { cursor: String(cursorS) });
    expect(ordersOf(await since(nowS - 60)).size).toBe(0);
    expect(ordersOf(await since(nowS - 700)).size).toBe(1);
  });

  test('a cursor that cannot be read starts from the beginning of the channel', async () => {
    await using rig = await rigWithStock();
    const order = place(rig);
    age(order, 60_000);
    expect(ordersOf(await poll(rig.connector, { cursor: 'garbage' })).size).toBe(1);
    expect(rig.log.lines.map(({ level }) => level)).toEqual(['warn']);
  });

  test('a machine whose clock is ahead claims no more than TikTok has lived', async () => {
    await using rig = await rigWithStock();
    rig.advance(25_000);
    const walk = walkOf(await poll(rig.connector));
    expect(walk?.upperBoundMs).toBeLessThanOrEqual(Date.now());
  });

  test('the cursor never moves back, even from the future', async () => {
    await using rig = await rigWithStock();
    const ahead = String(Math.floor(Date.now() / 1_000) + 3_600);
    expect(walkOf(await poll(rig.connector, { cursor: ahead }))?.cursor).toBe(ahead);
  });
});

describe('failures', () => {
  test('are thrown after a few tries, and the cursor stays where it was', async () => {
    await using rig = await rigWithStock();
    rig.shop.faults.set([{ kind: 'status', operation: 'orders-search' }]);
    expect((await rejection(poll(rig.connector))).code).toBe('CONNECTOR_UNREACHABLE');
    expect(searches(rig)).toBe(3);
  });

  test('that pass are waited out: an internal error, a throttled page, an expired token', async () => {
    await using rig = await rigWithStock();
    for (let index = 0; index < 150; index++) age(place(rig), (900 - index) * secondMs);
    rig.shop.faults.set([
      { kind: 'code', operation: 'orders-search', count: 1, code: 36009003 },
      { kind: 'throttled', operation: 'orders-search', count: 1, skip: 1, retryAfterS: 0.05 },
    ]);
    rig.shop.tokens.expireAccessTokens();
    expect(ordersOf(await poll(rig.connector)).size).toBe(150);
  });

  test('an order that cannot be read is parked, and the walk goes on', async () => {
    await using rig = await rigWithStock();
    const [bad, good] = [place(rig), place(rig)];
    for (const order of [bad, good]) age(order, 60_000);
    Object.assign(bad.lines[0] ?? {}, { status: 'NEVER_HEARD_OF' });
    Object.assign(bad, { status: 'NEVER_HEARD_OF' });
    const pages = await poll(rig.connector);
    expect(ordersOf(pages).has(good.id)).toBe(true);
    expect(pages.flatMap(({ parked }) => parked)).toMatchObject([{ what: 'order-line' }]);
    expect(walkOf(pages)).toBeDefined();
  });

  describe('of the answers', () => {
    afterEach(() => nock.cleanAll());
    const api = 'https://open-api.tiktokglobalshop.com';
    const answers = (...bodies: object[]): void => {
      const shops = { shops: [{ id: shopId, cipher: 'c', name: 'S', region: 'GB' }] };
      nock(api)
        .get(/^\/authorization/)
        .reply(200, { code: 0, data: shops });
      for (const data of bodies)
        nock(api)
          .post(/^\/order/)
          .reply(200, { code: 0, data });
    };
    const row = (id: string, updatedS: number) => ({
      id,
      status: 'UNPAID',
      create_time: updatedS,
      update_time: updatedS,
      line_items: [],
    });
    const nowS = Math.floor(Date.now() / 1_000) - 60;

    test('a count without orders is no quiet shop', async () => {
      answers({ total_count: 3 });
      expect((await rejection(poll(rigFor().connector))).code).toBe('CONNECTOR_ANSWER_INVALID');
    });

    test('orders that are no list are no quiet shop', async () => {
      answers({ orders: {} });
      expect((await rejection(poll(rigFor().connector))).code).toBe('CONNECTOR_ANSWER_INVALID');
    });

    test('a token that comes again ends the walk', async () => {
      const page = { orders: [row('1', nowS)], next_page_token: 'same' };
      answers(page, page, page);
      expect((await rejection(poll(rigFor().connector))).code).toBe('CONNECTOR_WALK_STUCK');
    });

    test('a token behind an empty page leads nowhere', async () => {
      answers({ orders: [], next_page_token: 'x' });
      expect(walkOf(await poll(rigFor().connector))).toBeDefined();
    });

    test('without a date from TikTok only what was seen is claimed', async () => {
      answers({ orders: [row('1', nowS - 600)] });
      const walk = walkOf(await poll(rigFor({ orderIndexLagMs: 5_000 }).connector));
      expect(walk?.upperBoundMs).toBe((nowS - 605) * 1_000 - 1);
    });
  });
});
