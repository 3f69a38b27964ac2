import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { ParsedDelivery, PlatformOrder } from '../../../src/connectors/connector.ts';
import { everything, never } from './parts.ts';
import { type SandboxRig, sandboxRig } from './sandbox-shop.ts';

async function poll(rig: SandboxRig, cursor: string | null = null): Promise<PlatformOrder[]> {
  const pages = await everything(
    rig.connector.pollOrders({ cursor, sinceMs: Date.now() - 3_600_000, overlapMs: 60_000, signal: never }),
  );
  expect(pages.flatMap((page) => page.parked)).toEqual([]);
  return pages.flatMap((page) => page.orders);
}

function placed(rig: SandboxRig, lines: { sku: string | null; quantity: number }[], more: object = {}) {
  const result = rig.shop.placeOrder({ lines, ...more });
  if (result.kind !== 'accepted') throw new Error('the order was refused');
  return result.order;
}

/** Takes the deliveries of a rig's shop in, as the daemon's inbox would. */
async function receiving(rig: SandboxRig, work: () => void | Promise<void>): Promise<ParsedDelivery[]> {
  const received: { raw: Buffer; headers: IncomingHttpHeaders }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ raw: Buffer.concat(chunks), headers: request.headers });
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const callbackUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`;
    const report = await rig.connector.subscribe({ callbackUrl }, never);
    expect(report.problems).toEqual([]);
    await work();
    await rig.sandbox.webhooksIdle();
  } finally {
    server.closeAllConnections();
    server.close();
  }
  const seen = new Set<string>();
  return received.flatMap(({ raw, headers }) => {
    const verdict = rig.connector.verifyWebhook(raw, headers);
    if (verdict.kind !== 'genuine') throw new Error(`${verdict.kind}: ${verdict.reason}`);
    // The inbox keeps each delivery once.
    if (seen.has(verdict.deliveryId)) return [];
    seen.add(verdict.deliveryId);
    return [rig.connector.parseWebhook(raw, headers)];
  });
}

const counters = (order: PlatformOrder | undefined, line = 0) => order?.lines[line]?.counters;

describe('orders of the emulated shop', () => {
  test('through their whole life, the counters explain what the shop shows', async () => {
    await using rig = await sandboxRig();
    rig.shop.addItem({ sku: 'A', quantities: 20 });
    const first = placed(rig, [{ sku: 'A', quantity: 5 }]);
    const [line] = first.lines;
    if (line === undefined) throw new Error('no line');
    const taken = async () => {
      const [order] = await poll(rig);
      const now = counters(order);
      return now === undefined ? Number.NaN : now.takenOut - now.givenBack;
    };
    const steps: [string, () => unknown, object][] = [
      [
        'edit off one unit',
        () => rig.shop.editOrder(first.id, { set: [{ lineId: line.id, quantity: 4 }] }),
        { ordered: 5, cancelled: 1 },
      ],
      [
        'ship two',
        () => rig.shop.fulfil(first.id, { lines: [{ lineId: line.id, quantity: 2 }] }),
        { shipped: 2 },
      ],
      [
        'lose one',
        () =>
          rig.shop.refund(first.id, { lines: [{ lineId: line.id, quantity: 1, restockType: 'NO_RESTOCK' }] }),
        { writtenOff: 1 },
      ],
      [
        'return one',
        () => rig.shop.refund(first.id, { lines: [{ lineId: line.id, quantity: 1, restockType: 'RETURN' }] }),
        { restocked: 1 },
      ],
      [
        'cancel one',
        () => rig.shop.refund(first.id, { lines: [{ lineId: line.id, quantity: 1, restockType: 'CANCEL' }] }),
        { cancelled: 2 },
      ],
    ];
    for (const [name, step, expected] of steps) {
      step();
      const [order] = await poll(rig);
      expect(counters(order), name).toMatchObject(expected);
      expect(await taken(), name).toBe(20 - rig.shop.available('A'));
    }
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('a cancelled order gives everything back, one that may not be restocked nothing', async () => {
    await using rig = await sandboxRig();
    for (const sku of ['A', 'B']) rig.shop.addItem({ sku, quantities: 9 });
    rig.shop.cancelOrder(placed(rig, [{ sku: 'A', quantity: 2 }]).id);
    rig.shop.cancelOrder(placed(rig, [{ sku: 'B', quantity: 2 }]).id, { restock: false });
    const orders = await poll(rig);
    const ofSku = (sku: string) => counters(orders.find((order) => order.lines[0]?.sku === sku));
    expect(ofSku('A')).toMatchObject({ cancelled: 2, writtenOff: 0, givenBack: 2 });
    expect(ofSku('B')).toMatchObject({ cancelled: 0, writtenOff: 2, givenBack: 0 });
  });

  test('with 1,112 lines and many refunds and fulfilments are read whole', async () => {
    await using rig = await sandboxRig({ rateLimit: false });
    for (let index = 0; index < 30; index++) rig.shop.addItem({ sku: `S${index}`, quantities: 100_000 });
    const order = placed(
      rig,
      Array.from({ length: 1_112 }, (_, index) => ({ sku: `S${index % 30}`, quantity: 3 })),
    );
    rig.shop.refund(order.id, {
      lines: order.lines
        .slice(0, 300)
        .map((line) => ({ lineId: line.id, quantity: 1, restockType: 'CANCEL' as const })),
    });
    for (let index = 0; index < 14; index++) {
      const lineId = order.lines[400 + index]?.id ?? '';
      rig.shop.refund(order.id, { lines: [{ lineId, quantity: 1, restockType: 'NO_RESTOCK' }] });
      rig.shop.fulfil(order.id, { lines: [{ lineId, quantity: 1 }] });
    }
    rig.shop.fulfil(order.id, {
      lines: order.lines.slice(500, 800).map((line) => ({ lineId: line.id, quantity: 2 })),
    });
    const [read] = await poll(rig);
    expect(read).toMatchObject({ isPartial: false });
    expect(read?.lines).toHaveLength(1_112);
    const sum = (name: 'cancelled' | 'writtenOff' | 'shipped') =>
      read?.lines.reduce((total, line) => total + line.counters[name], 0);
    expect([sum('cancelled'), sum('writtenOff'), sum('shipped')]).toEqual([300, 14, 14 + 600]);
    const fetched = await rig.connector.fetchOrders([order.number, '999999'], never);
    expect(fetched.orders).toEqual([read]);
  });

  test('say where their open units are committed when the shop has several locations', async () => {
    await using rig = await sandboxRig();
    const second = rig.shop.addLocation({ name: 'Second' });
    rig.shop.addItem({ sku: 'A', quantities: { Second: 5 } });
    const order = placed(rig, [{ sku: 'A', quantity: 2 }]);
    const [open] = await poll(rig);
    expect(open?.lines[0]).toMatchObject({ committedAt: [{ locationId: second.number, units: 2 }] });
    rig.shop.fulfil(order.id);
    const [shipped] = await poll(rig);
    expect(shipped?.lines[0]?.committedAt).toBeUndefined();
    expect(shipped?.lines[0]).toMatchObject({ shippedFrom: [{ locationId: second.number, units: 2 }] });
  });

  test('are read without the scope for fulfilment orders too: their places are then not known', async () => {
    const scopes = ['write_inventory', 'read_inventory', 'read_products', 'read_locations', 'read_orders'];
    await using rig = await sandboxRig({ scopes });
    rig.shop.addLocation({ name: 'Second' });
    rig.shop.addItem({ sku: 'A', quantities: 5 });
    placed(rig, [{ sku: 'A', quantity: 2 }]);
    const [order] = await poll(rig);
    expect(order?.lines[0]).toMatchObject({ counters: { ordered: 2 } });
    expect(order?.lines[0]?.committedAt).toBeUndefined();
    expect(rig.log.lines).toHaveLength(1);
    await poll(rig);
    expect(rig.log.lines, 'asked again only after a while').toHaveLength(1);
  });

  test('keep huge ids to their last digit', async () => {
    await using rig = await sandboxRig({ hugeIds: true });
    rig.shop.addItem({ sku: 'A', quantities: 5 });
    const order = placed(rig, [{ sku: 'A', quantity: 1 }]);
    expect(Number(order.number)).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
    const [read] = await poll(rig);
    expect(read?.orderId).toBe(order.number);
    expect(read?.lines[0]?.itemId).toBe(order.lines[0]?.item?.number);
  });

  test('appear once the index has them, at the latest within the overlap', async () => {
    await using rig = await sandboxRig();
    // The index has it when the test says so.
    rig.shop.settings.searchLagMs = { min: 3_600_000, max: 3_600_000 };
    rig.shop.addItem({ sku: 'A', quantities: 5 });
    const order = placed(rig, [{ sku: 'A', quantity: 1 }]);
    // Far enough behind the cursor of the first walk that only the overlap reaches it.
    order.updatedAt -= 20_000;
    const pages = await everything(
      rig.connector.pollOrders({
        cursor: null,
        sinceMs: Date.now() - 60_000,
        overlapMs: 60_000,
        signal: never,
      }),
    );
    expect(pages[0]?.orders).toEqual([]);
    order.index.touch(order.updatedAt, order.updatedAt);
    expect(await poll(rig, pages[0]?.walk?.cursor ?? null)).toHaveLength(1);
  });
});

describe('webhooks of the emulated shop', () => {
  test('tell of every order what a poll tells', async () => {
    await using rig = await sandboxRig();
    rig.shop.setWebhookBehaviour({ duplicateProbability: 0.5, reorderProbability: 0.5, reorderMs: 50 });
    for (const sku of ['A', 'B']) rig.shop.addItem({ sku, quantities: 50 });
    const deliveries = await receiving(rig, () => {
      const order = placed(rig, [
        { sku: 'A', quantity: 3 },
        { sku: 'B', quantity: 1 },
      ]);
      const lineId = order.lines[0]?.id ?? '';
      rig.shop.fulfil(order.id, { lines: [{ lineId, quantity: 1 }] });
      rig.shop.refund(order.id, { lines: [{ lineId, quantity: 1, restockType: 'CANCEL' }] });
      rig.shop.cancelOrder(placed(rig, [{ sku: 'B', quantity: 2 }]).id);
    });
    expect(deliveries.flatMap((delivery) => delivery.parked)).toEqual([]);
    // Merged as the ledger merges them: by the greatest value ever seen.
    const seen = new Map<string, number>();
    for (const order of deliveries.flatMap((delivery) => delivery.orders))
      for (const line of order.lines)
        for (const [name, units] of Object.entries(line.counters)) {
          const key = `${order.orderId}/${line.lineId}/${name}`;
          seen.set(key, Math.max(seen.get(key) ?? 0, units));
        }
    const polled = await poll(rig);
    for (const order of polled)
      for (const line of order.lines)
        for (const [name, units] of Object.entries(line.counters))
          expect(seen.get(`${order.orderId}/${line.lineId}/${name}`), `${line.sku} ${name}`).toBe(units);
    const hinted = new Set(deliveries.flatMap((delivery) => delivery.orderHints));
    expect(
      polled.every((order) => hinted.has(order.orderId)),
      'refunds and fulfilments hint at their orders',
    ).toBe(true);
    const items = new Set(deliveries.flatMap((delivery) => delivery.levelHints));
    expect(items).toEqual(new Set([rig.shop.item('A').number, rig.shop.item('B').number]));
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('name the item by an alias of its listing', async () => {
    await using rig = await sandboxRig();
    rig.shop.addItem({ sku: 'A', quantities: 5 });
    const deliveries = await receiving(rig, () => void placed(rig, [{ sku: 'A', quantity: 1 }]));
    const listing = (await rig.listings()).get('A');
    const itemId = deliveries.flatMap((delivery) => delivery.orders)[0]?.lines[0]?.itemId;
    expect(listing?.itemAliases).toContain(itemId);
  });
});
