import nock from 'nock';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ListingRef } from '../../../src/connectors/connector.ts';
import { never, rejection } from '../shopify/parts.ts';
import { batchOf, rigFor, shopId } from './parts.ts';

/** Reads whose refusal or end concerns several callers or SKUs; our emulator refuses no inventory search as a whole. */
const api = 'https://open-api.tiktokglobalshop.com';
const refFor = (id: number): ListingRef => ({ key: `${id}@7`, itemId: `1/${id}`, locationId: '7' });
const refs = Array.from({ length: 40 }, (_ref, index) => refFor(index + 1));

beforeEach(() => {
  nock.disableNetConnect();
  nock(api)
    .persist()
    .get(/^\/authorization/)
    .reply(200, { code: 0, data: { shops: [{ id: shopId, name: 'S', region: 'GB', cipher: 'c1' }] } });
});
afterEach(() => {
  nock.cleanAll();
  nock.enableNetConnect();
});

function searchesAnswer(answer: (skuIds: readonly string[]) => object): { count: number } {
  const asked = { count: 0 };
  nock(api)
    .persist()
    .post(/^\/product\/202309\/inventory\/search/)
    .reply(async (request: Request) => {
      asked.count++;
      const { sku_ids: skuIds } = (await request.json()) as { sku_ids: string[] };
      return [200, answer(skuIds)];
    });
  return asked;
}

test('one SKU that is refused is parked, and the others of its request are read', async () => {
  const asked = searchesAnswer((skuIds) => {
    if (skuIds.includes('23')) return { code: 12052556, message: 'The SKU id not exist.' };
    const skus = skuIds.map((id) => ({
      id,
      warehouse_inventory: [{ warehouse_id: '7', available_quantity: 5, committed_quantity: 0 }],
    }));
    return { code: 0, data: { inventory: [{ product_id: '1', skus }] } };
  });
  const read = await rigFor().connector.readStock(refs, never);
  expect(read.rows).toHaveLength(39);
  expect(read.missing).toEqual([]);
  expect(read.parked).toMatchObject([{ what: 'stock', reference: '23' }]);
  expect(asked.count).toBeLessThan(16);
});

test('one SKU that is refused in the reading before a write is rejected by itself, and the others are written', async () => {
  const asked = searchesAnswer((skuIds) => {
    if (skuIds.includes('23')) return { code: 12052556, message: 'The SKU id not exist.' };
    const skus = skuIds.map((id) => ({
      id,
      warehouse_inventory: [{ warehouse_id: '7', available_quantity: 5, committed_quantity: 0 }],
    }));
    return { code: 0, data: { inventory: [{ product_id: '1', skus }] } };
  });
  const written: string[] = [];
  nock(api)
    .post(/^\/product\/202309\/products\/1\/inventory\/update/)
    .reply(async (request: Request) => {
      const { skus } = (await request.json()) as { skus: { id: string }[] };
      written.push(...skus.map(({ id }) => id));
      return [200, { code: 0, data: {} }];
    });
  const rows = refs.map((ref) => ({ ref, from: 5, to: 4 }));
  const { rows: outcomes } = await rigFor().connector.write(batchOf(rows), never);
  expect(outcomes.filter(({ kind }) => kind === 'accepted')).toHaveLength(39);
  expect(outcomes[22]).toMatchObject({
    kind: 'rejected',
    isPermanent: true,
    reason: expect.stringContaining('12052556') as string,
  });
  expect(written).toHaveLength(39);
  expect(written).not.toContain('23');
  expect(asked.count).toBeLessThan(16);
});

test.each([
  ['the product interface refuses every SKU', 12019112, 60],
  ['the version of the interface is gone', 36009014, 1],
])('%s: no answer, and not a request for each SKU', async (_what, code, mostRequests) => {
  const asked = searchesAnswer(() => ({ code, message: 'no' }));
  const many = Array.from({ length: 600 }, (_ref, index) => refFor(index + 1));
  expect((await rejection(rigFor().connector.readStock(many, never))).code).toBe('CONNECTOR_REQUEST_REFUSED');
  expect(asked.count).toBeLessThanOrEqual(mostRequests);
});

test("a caller that gives up does not end the question for the shop's cipher for the others", async () => {
  nock.cleanAll();
  const shops = { code: 0, data: { shops: [{ id: shopId, name: 'S', region: 'GB', cipher: 'c1' }] } };
  nock(api)
    .get(/^\/authorization/)
    .delay(150)
    .reply(200, shops);
  searchesAnswer(() => ({ code: 0, data: { inventory: [] } }));
  const { connector } = rigFor();
  const impatient = new AbortController();
  const first = connector.readStock([refFor(1)], impatient.signal).catch((error: unknown) => error);
  const second = connector.readStock([refFor(2)], never);
  setTimeout(() => impatient.abort(), 30);
  expect((await second).missing).toEqual(['2@7']);
  expect(await first).toMatchObject({ name: 'AbortError' });
});
