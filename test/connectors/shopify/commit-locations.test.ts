import { expect, test } from 'vitest';
import type { ConnectorLog } from '../../../src/connectors/ports.ts';
import { CommitLocations } from '../../../src/connectors/shopify/commit-locations.ts';
import type { ShopifyGraphql } from '../../../src/connectors/shopify/graphql.ts';
import type { ShopLocations } from '../../../src/connectors/shopify/locations.ts';
import { StockmeshError } from '../../../src/domain/errors.ts';

const { signal } = new AbortController();
const log = {
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
} as unknown as ConnectorLog;
const fields = { platform: 'shopify', operation: 'CommitLocations' };
const failed = new StockmeshError('CONNECTOR_UNREACHABLE', { ...fields, reason: 'HTTP 500' });
const refused = new StockmeshError('CONNECTOR_ACCESS_DENIED', {
  ...fields,
  reason: 'scope',
  remedy: 'grant it',
});

function asking() {
  const state = { nowMs: 0, asked: 0, error: undefined as Error | undefined };
  const graphql = {
    tryRead: async () => {
      state.asked++;
      if (state.error !== undefined) throw state.error;
      const lineItem = { id: 'gid://shopify/LineItem/7' };
      const lineItems = { nodes: [{ totalQuantity: 3, remainingQuantity: 2, lineItem }] };
      const assignedLocation = { location: { id: 'gid://shopify/Location/5' } };
      const fulfillmentOrders = { nodes: [{ status: 'OPEN', assignedLocation, lineItems }] };
      return {
        kind: 'answer',
        data: { nodes: [{ id: 'gid://shopify/Order/1', fulfillmentOrders }] },
        sentAtMs: 0,
      };
    },
  } as unknown as ShopifyGraphql;
  const clock = { nowMs: () => state.nowMs };
  const locations = {} as ShopLocations;
  const places = new CommitLocations({ graphql, locations, clock, log, isWanted: true });
  return { state, read: () => places.read(['1'], signal) };
}

test('where open units are committed', async () => {
  const { read } = asking();
  expect((await read()).get('1')).toEqual({
    open: [{ lineId: '7', units: 2, locationId: '5' }],
    assigned: [{ lineId: '7', units: 3, locationId: '5' }],
    only: '5',
  });
});

test('a failure fails the reading instead of leaving places out, until patience ends for half a minute', async () => {
  const { state, read } = asking();
  state.error = failed;
  for (let time = 1; time <= 5; time++) await expect(read()).rejects.toBe(failed);
  expect((await read()).size).toBe(0);
  state.error = undefined;
  state.nowMs = 29_999;
  expect((await read()).size).toBe(0);
  state.nowMs = 30_000;
  expect((await read()).size).toBe(1);
});

test('one failure among successes pauses nothing', async () => {
  const { state, read } = asking();
  for (let round = 0; round < 20; round++) {
    state.error = round % 2 === 0 ? failed : undefined;
    if (round % 2 === 0) await expect(read()).rejects.toBe(failed);
    else expect((await read()).size).toBe(1);
  }
});

test('a refusal is not asked again for ten minutes', async () => {
  const { state, read } = asking();
  state.error = refused;
  for (let time = 0; time < 3; time++) expect((await read()).size).toBe(0);
  expect(state.asked).toBe(1);
  state.nowMs = 600_000;
  await read();
  expect(state.asked).toBe(2);
});
