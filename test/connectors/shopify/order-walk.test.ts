import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { never, rejection, rigFor, everything } from './parts.ts';
import { type ListedOrder, orderNode, ScriptedShop, searchPage } from './scripted-shop.ts';

const secondMs = 1_000;
const request = (cursor: string | null, sinceMs: number, overlapMs = 0) => ({
  cursor,
  sinceMs,
  overlapMs,
  signal: never,
});
const settled = (id: string, updatedAtMs: number): ListedOrder => ({
  id,
  createdAtMs: updatedAtMs,
  updatedAtMs,
  indexedAtMs: updatedAtMs,
});

async function walkOver(
  answer: ConstructorParameters<typeof ScriptedShop>[0],
  options: { cursor?: string; sinceMs?: number; indexLagMs?: number; overlapMs?: number } = {},
) {
  await using shop = new ScriptedShop(answer);
  const rig = rigFor({ baseUrl: await shop.listen(), orderIndexLagMs: options.indexLagMs ?? 5_000 });
  const pages = await everything(
    rig.connector.pollOrders(request(options.cursor ?? null, options.sinceMs ?? 0, options.overlapMs)),
  );
  const ids = pages.flatMap((page) => page.orders.map((order) => order.orderId));
  return { pages, ids, calls: shop.calls, log: rig.log, walk: pages.at(-1)?.walk };
}

describe('a walk refuses', () => {
  test('an answer whose filter was ignored', async () => {
    const answer = () => ({
      data: { orders: { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } } },
      extensions: {
        search: [
          {
            path: ['orders'],
            query: 'x',
            parsed: {},
            warnings: [
              { field: 'updated_at', message: 'Invalid search field for this query.', code: 'invalid_field' },
            ],
          },
        ],
      },
    });
    const error = await rejection(walkOver(answer));
    expect(error).toMatchObject({
      code: 'CONNECTOR_FILTER_IGNORED',
      retryable: false,
      message: expect.stringContaining('Invalid search field') as string,
    });
  });

  test('cursors that go in circles', async () => {
    const node = orderNode(settled('1', Date.now()));
    const answer = () => ({
      data: { orders: { nodes: [node], pageInfo: { hasNextPage: true, endCursor: 'again' } } },
    });
    expect((await rejection(walkOver(answer))).code).toBe('CONNECTOR_WALK_STUCK');
  });

  test.each([
    ['no connection', { data: { orders: null } }],
    ['nodes that are no list', { data: { orders: { nodes: 5, pageInfo: { hasNextPage: false } } } }],
    [
      'a next page without a cursor',
      { data: { orders: { nodes: [], pageInfo: { hasNextPage: true, endCursor: null } } } },
    ],
  ])('%s', async (_name, answer) => {
    expect((await rejection(walkOver(() => answer))).code).toBe('CONNECTOR_ANSWER_INVALID');
  });
});

test('an order without an id or a time is parked, and the others flow', async () => {
  const now = Date.now();
  const { pages } = await walkOver(() => ({
    data: {
      orders: {
        nodes: [null, { ...orderNode(settled('1', now)), createdAt: 'soon' }, orderNode(settled('2', now))],
        pageInfo: { hasNextPage: false, endCursor: null },
      },
    },
  }));
  expect(pages[0]?.orders.map((order) => order.orderId)).toEqual(['2']);
  expect(pages[0]?.parked).toHaveLength(2);
});

test('a cursor that cannot be read starts from the beginning, and says so', async () => {
  const orders = [settled('1', Date.now() - 60_000)];
  const { ids, log } = await walkOver(({ variables }) => searchPage(orders, variables, 10), {
    cursor: 'garbage',
  });
  expect(ids).toEqual(['1']);
  expect(log.lines).toHaveLength(1);
});

test('the overlap reaches back behind the cursor, at least by the index lag', async () => {
  const cursorMs = Date.now() - 600_000;
  for (const [overlapMs, indexLagMs, backMs] of [
    [60_000, 5_000, 60_000],
    [0, 5_000, 5_000],
  ] as const) {
    const cursor = new Date(cursorMs).toISOString();
    const { calls } = await walkOver(({ variables }) => searchPage([], variables, 10), {
      cursor,
      overlapMs,
      indexLagMs,
    });
    const sinceMs = Date.parse(/'([^']+)'/.exec(String(calls[0]?.variables['query']))?.[1] ?? '');
    expect(sinceMs).toBe(Math.floor((cursorMs - backMs) / secondMs) * secondMs);
  }
});

test('the upper bound claims nothing that the index may still hide', async () => {
  const beganAtMs = Date.now();
  const { walk } = await walkOver(({ variables }) => searchPage([], variables, 10), { indexLagMs: 5_000 });
  expect(walk?.upperBoundMs).toBeGreaterThanOrEqual(beganAtMs - 5_000);
  expect(walk?.upperBoundMs).toBeLessThanOrEqual(Date.now() - 5_000);
});

test('the cursor never goes back, and continues a walk that was broken off', async () => {
  const startMs = Date.now() - 3_600_000;
  const orders = Array.from({ length: 30 }, (_, index) =>
    settled(String(100 + index), startMs + index * 10_000),
  );
  const { pages, ids } = await walkOver(({ variables }) => searchPage(orders, variables, 4));
  const cursors = pages.map((page) => page.cursor ?? '');
  expect(cursors).toEqual(cursors.toSorted());
  const middle = pages[3];
  const rest = await walkOver(({ variables }) => searchPage(orders, variables, 4), {
    cursor: middle?.cursor ?? '',
    overlapMs: 0,
  });
  const seenBefore = pages.slice(0, 4).flatMap((page) => page.orders.map((order) => order.orderId));
  expect(new Set([...seenBefore, ...rest.ids])).toEqual(new Set(ids));
  expect(rest.ids.length).toBeLessThan(ids.length);
});

test('more orders in one second than fit on a page are all seen once', async () => {
  const atMs = Math.floor((Date.now() - 600_000) / secondMs) * secondMs;
  const orders = Array.from({ length: 23 }, (_, index) => settled(String(100 + index), atMs + index));
  const { ids } = await walkOver(({ variables }) => searchPage(orders, variables, 5));
  expect(ids.toSorted()).toEqual(orders.map((order) => order.id));
});

describe('while orders change under the walk', () => {
  test('an order that moves to the end shifts no other one out of sight', async () => {
    const startMs = Date.now() - 3_600_000;
    const orders = Array.from({ length: 12 }, (_, index) =>
      settled(String(100 + index), startMs + index * 60_000),
    );
    let page = 0;
    const { ids } = await walkOver(({ variables }) => {
      const first = orders[0];
      if (++page === 2 && first !== undefined) first.updatedAtMs = first.indexedAtMs = Date.now();
      return searchPage(orders, variables, 4);
    });
    expect(new Set(ids)).toEqual(new Set(orders.map((order) => order.id)));
  });

  test('an order that changes twice within a second, and moves only then, pushes no other one out of sight', async () => {
    const startMs = Math.floor(Date.now() / secondMs) * secondMs;
    // Far younger than the index lag, however long the walk takes: none of these has a settled place but the first.
    const orders = [600_000, 4_000, 4_000].map((ago, index) => ({
      ...settled(String(100 + index), startMs - ago),
      createdAtMs: startMs - 700_000,
    }));
    const [, twice, other] = orders;
    if (twice === undefined || other === undefined) throw new Error('no orders');
    let page = 0;
    const { ids } = await walkOver(
      ({ variables }) => {
        page++;
        twice.updatedAtMs = startMs;
        // It leaves its place while the walk follows cursors: the one behind it moves up a page.
        if (page === 3) twice.indexedAtMs = startMs;
        return searchPage(orders, variables, 2);
      },
      { indexLagMs: 30_000, sinceMs: startMs - 1_200_000 },
    );
    expect(ids).toContain(other.id);
  });

  test('every order that was in the index before the walk is seen, whatever moves in between', async () => {
    // Far longer than a walk takes: what is behind when it begins has no settled place before it ends.
    const indexLagMs = 30_000;
    const plan = fc.record({
      ages: fc.array(fc.integer({ min: 0, max: 120 }), { minLength: 1, maxLength: 25 }),
      lags: fc.array(fc.integer({ min: 0, max: 4_000 }), { minLength: 25, maxLength: 25 }),
      unindexed: fc.array(fc.record({ page: fc.integer({ min: 2, max: 9 }), order: fc.nat({ max: 24 }) }), {
        maxLength: 8,
      }),
      // Positions as cursors are the worst there is; of rows that move in the index, one per walk can be made up for.
      moved: fc.record({ page: fc.integer({ min: 2, max: 30 }), order: fc.nat({ max: 24 }) }),
      pageSize: fc.integer({ min: 1, max: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ ages, lags, unindexed, moved, pageSize }) => {
        const startMs = Date.now();
        const orders: ListedOrder[] = ages.map((age, index) => {
          const updatedAtMs = startMs - age * 1_000;
          // Behind: the order was changed within the lag, and the index still has it at its earlier place.
          const isBehind = startMs - updatedAtMs < (lags[index] ?? 0);
          const indexedAtMs = isBehind ? updatedAtMs - 60_000 : updatedAtMs;
          // No row has a place from before its order was made: the walk relies on it.
          return { id: String(100 + index), createdAtMs: indexedAtMs, updatedAtMs, indexedAtMs };
        });
        let page = 0;
        const { ids, walk } = await walkOver(
          ({ variables }) => {
            page++;
            const changes = [...unindexed, moved].filter((change) => change.page === page);
            for (const change of changes) {
              const order = orders[change.order];
              if (order === undefined) continue;
              order.updatedAtMs = Date.now();
              if (change === moved) order.indexedAtMs = order.updatedAtMs;
            }
            return searchPage(orders, variables, pageSize);
          },
          { indexLagMs, sinceMs: startMs - 200_000 },
        );
        const boundMs = walk?.upperBoundMs ?? Number.POSITIVE_INFINITY;
        const claimed = ages.flatMap((age, index) =>
          startMs - age * 1_000 <= boundMs ? [String(100 + index)] : [],
        );
        expect(ids).toEqual(expect.arrayContaining(claimed));
      }),
      { numRuns: 60 },
    );
  });
});

test('a page that costs too much is asked for in smaller ones, and the size is kept', async () => {
  const orders = Array.from({ length: 20 }, (_, index) =>
    settled(String(100 + index), Date.now() - 3_600_000 + index * 5_000),
  );
  const { ids, calls } = await walkOver(({ variables }) => {
    const first = Number(variables['first']);
    if (first > 7)
      return { errors: [{ message: 'Query cost is 2502', extensions: { code: 'MAX_COST_EXCEEDED' } }] };
    return searchPage(orders, variables, first);
  });
  expect(new Set(ids).size).toBe(20);
  expect(calls.slice(0, 5).map((call) => call.variables['first'])).toEqual([50, 25, 12, 6, 6]);
});

test('fulfilments that cannot be read do not hide the orders: they are left out for a while', async () => {
  const orders = [settled('1', Date.now() - 60_000)];
  const error = {
    message: 'Access denied for fulfillments field.',
    path: ['orders', 'nodes', 0, 'fulfillments'],
    extensions: { code: 'INTERNAL_SERVER_ERROR' },
  };
  await using shop = new ScriptedShop(({ variables }) =>
    variables['withFulfillments'] === true
      ? { data: null, errors: [error] }
      : (JSON.parse(JSON.stringify(searchPage(orders, variables, 10)), (key, value: unknown) =>
          key === 'fulfillments' ? undefined : value,
        ) as Record<string, unknown>),
  );
  const rig = rigFor({ baseUrl: await shop.listen() });
  for (let walk = 0; walk < 2; walk++) {
    const pages = await everything(rig.connector.pollOrders(request(null, 0)));
    expect(pages[0]?.orders).toMatchObject([{ orderId: '1', isPartial: false }]);
  }
  expect(shop.calls.map((call) => call.variables['withFulfillments'])).toEqual([true, false, false]);
  expect(rig.log.lines).toHaveLength(1);
});
