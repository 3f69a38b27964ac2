import { expect, test } from 'vitest';
import { ManualClock } from '../../sandbox/shopify/clock.ts';
import { codesOf, setUp } from './shopify-client.ts';
import type { GraphqlResult } from './shopify-client.ts';

const codes = (result: GraphqlResult) => codesOf(result.data['inventoryAdjustQuantities']);
const groupId = (result: GraphqlResult) =>
  result.data['inventoryAdjustQuantities']?.['inventoryAdjustmentGroup']?.['id'];

/** Tells when something in the sandbox begins to wait. */
class WatchedClock extends ManualClock {
  readonly waits = Promise.withResolvers<void>();

  override schedule(delayMs: number, task: () => void): () => void {
    const cancel = super.schedule(delayMs, task);
    this.waits.resolve();
    return cancel;
  }
}

test('the same key with other parameters is refused and recorded', async () => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  await setup.client.adjust('a', -1, 'k');
  expect(codes(await setup.client.adjust('a', -2, 'k'))).toEqual(['IDEMPOTENCY_KEY_PARAMETER_MISMATCH']);
  expect(setup.shop.available('a')).toBe(9);
  expect(setup.sandbox.violations().map((violation) => violation.kind)).toEqual(['idempotency-key-reused']);
});

test('a repeat while the first request runs is refused', async () => {
  const clock = new WatchedClock();
  await using setup = await setUp({}, { clock });
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  setup.shop.setFaults([{ kind: 'slow', operation: 'AdjustAvailable', count: 1, delayMs: 150 }]);
  const first = setup.client.adjust('a', -1, 'k');
  await clock.waits.promise;
  expect(codes(await setup.client.adjust('a', -1, 'k'))).toEqual(['IDEMPOTENCY_CONCURRENT_REQUEST']);
  clock.advance(150);
  expect(codes(await first)).toEqual([]);
  expect(setup.shop.available('a')).toBe(9);
});

test('a repeat after an attempt that died inside asks for a new key', async () => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  setup.shop.setFaults([{ kind: 'fail-attempt', operation: 'AdjustAvailable', count: 1, status: 500 }]);
  expect((await setup.client.adjust('a', -1, 'k')).status).toBe(500);
  expect(codes(await setup.client.adjust('a', -1, 'k'))).toEqual(['IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED']);
  expect(setup.shop.available('a')).toBe(10);
});

test('a lost answer is repeated with the same key and applied once', async () => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  setup.shop.setFaults([{ kind: 'lose-response', operation: 'AdjustAvailable', count: 1 }]);
  await expect(setup.client.adjust('a', -1, 'k', 10)).rejects.toThrow();
  expect(setup.shop.available('a')).toBe(9);
  const repeated = await setup.client.adjust('a', -1, 'k', 10);
  const again = await setup.client.adjust('a', -1, 'k', 10);
  expect(codes(repeated)).toEqual([]);
  expect(groupId(again)).toBe(groupId(repeated));
  expect(setup.shop.available('a')).toBe(9);
});

test('a stale answer is replayed too: the next attempt needs a new key', async () => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  await setup.client.adjust('a', 1, 'k', 7);
  setup.shop.editStock('a', 7);
  expect(codes(await setup.client.adjust('a', 1, 'k', 7))).toEqual(['CHANGE_FROM_QUANTITY_STALE']);
  expect(codes(await setup.client.adjust('a', 1, 'new', 7))).toEqual([]);
});

test('keys are per mutation', async () => {
  await using setup = await setUp();
  const item = setup.shop.addItem({ sku: 'a', quantities: 10 });
  const [locationId] = setup.shop.inventory.locations.keys();
  await setup.client.adjust('a', -1, 'k');
  const row = { inventoryItemId: item.id, locationId, quantity: 4, changeFromQuantity: 9 };
  const { data } = await setup.client.run('SetAvailable', {
    input: { name: 'available', reason: 'correction', quantities: [row] },
    idempotencyKey: 'k',
  });
  expect(codesOf(data['inventorySetQuantities'])).toEqual([]);
  expect(setup.shop.available('a')).toBe(4);
});

test('past the window the same key is a new operation', async () => {
  const clock = new ManualClock();
  await using setup = await setUp({}, { clock });
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  await setup.client.adjust('a', -1, 'k');
  clock.advance(86_400_000 - 1);
  await setup.client.adjust('a', -1, 'k');
  expect(setup.shop.available('a')).toBe(9);
  clock.advance(1);
  await setup.client.adjust('a', -1, 'k');
  expect(setup.shop.available('a')).toBe(8);
});
