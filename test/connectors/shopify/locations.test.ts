import { expect, test } from 'vitest';
import type { ShopifyGraphql } from '../../../src/connectors/shopify/graphql.ts';
import { ShopLocations } from '../../../src/connectors/shopify/locations.ts';
import { never } from './parts.ts';

/** A shop whose answers come when the test says so, each with the locations that are there then. */
function slowShop() {
  const questions: ((...ids: string[]) => void)[] = [];
  const graphql = {
    read: () =>
      new Promise((resolve) => {
        questions.push((...ids) => {
          const nodes = ids.map((id) => ({ id: `gid://shopify/Location/${id}`, isActive: true }));
          const locations = { nodes, pageInfo: { hasNextPage: false, endCursor: null } };
          resolve({ kind: 'answer', data: { locations }, extensions: {}, sentAtMs: 0 });
        });
      }),
  } as unknown as ShopifyGraphql;
  const clock = { nowMs: 0 };
  const locations = new ShopLocations(graphql, { nowMs: () => clock.nowMs });
  return { questions, clock, all: async () => [...(await locations.all(never)).keys()], locations };
}

test('are asked for once in ten minutes', async () => {
  const shop = slowShop();
  const first = shop.all();
  shop.questions[0]?.('1');
  expect(await first).toEqual(['1']);
  shop.clock.nowMs = 599_999;
  expect(await shop.all()).toEqual(['1']);
  shop.clock.nowMs = 600_000;
  const second = shop.all();
  shop.questions[1]?.('1', '2');
  expect(await second).toEqual(['1', '2']);
});

test('an answer that was asked for before they were forgotten does not replace the later one', async () => {
  const shop = slowShop();
  const before = shop.all();
  shop.locations.forget();
  const after = shop.all();
  shop.questions[1]?.('1', '2');
  expect(await after).toEqual(['1', '2']);
  shop.questions[0]?.('1');
  await before;
  expect(await shop.all()).toEqual(['1', '2']);
  expect(shop.questions).toHaveLength(2);
});

test('an answer that comes between a forgetting and the next question is not kept either', async () => {
  const shop = slowShop();
  const before = shop.all();
  shop.locations.forget();
  shop.questions[0]?.('1');
  await before;
  const after = shop.all();
  expect(shop.questions).toHaveLength(2);
  shop.questions[1]?.('1', '2');
  expect(await after).toEqual(['1', '2']);
});
