import { afterEach, beforeEach, expect, test } from 'vitest';
import { never, rejection } from '../shopify/parts.ts';
import { type Rig, rigFor } from './parts.ts';

const target = { callbackUrl: '' };
const queueTypes = ['ORDER_CHANGE', 'FEED_PROCESSING_FINISHED', 'FBA_INVENTORY_AVAILABILITY_CHANGES'];
const eventTypes = ['LISTINGS_ITEM_MFN_QUANTITY_CHANGE', 'LISTINGS_ITEM_STATUS_CHANGE'];

let rig: Rig;
beforeEach(async () => {
  rig = await rigFor();
});
afterEach(() => rig.close());

const subscriptions = () => rig.seller.notifications.subscriptions;
const subscribe = (of = rig.connector) => of.subscribe(target, never);

test('an outage is thrown; a type that is refused does not keep the others from being subscribed', async () => {
  rig.seller.setFaults([{ kind: 'status', operation: 'getDestinations', status: 503 }]);
  expect((await rejection(subscribe())).code).toBe('CONNECTOR_UNREACHABLE');
  rig.seller.setFaults([{ kind: 'status', operation: 'createSubscription', status: 400, count: 1 }]);
  const report = await subscribe();
  expect(report.missing).toEqual(['ORDER_CHANGE']);
  expect(report.created).toEqual([...queueTypes.slice(1), ...eventTypes]);
});

test('everything is made once, then found', async () => {
  expect(await rig.connector.checkSubscriptions(target, never)).toMatchObject({
    missing: [...queueTypes, ...eventTypes],
    problems: [],
  });
  expect(await subscribe()).toEqual({
    present: [],
    created: [...queueTypes, ...eventTypes],
    missing: [],
    problems: [],
  });
  expect(await subscribe()).toMatchObject({ present: [...queueTypes, ...eventTypes], created: [] });
  expect(await rig.connector.checkSubscriptions(target, never)).toMatchObject({
    present: [...queueTypes, ...eventTypes],
  });
  expect(rig.seller.notifications.destinations.size).toBe(2);
  expect(rig.sandbox.violations()).toEqual([]);
  expect(rig.modelProblems).toEqual([]);
});

test('what another daemon made at the same moment is used (409)', async () => {
  const [one, other] = await Promise.all([subscribe(), subscribe(rig.second())]);
  expect([...one.missing, ...other.missing]).toEqual([]);
  expect(rig.seller.notifications.destinations.size).toBe(2);
  expect(subscriptions().size).toBe(5);
});

test('a create whose answer was lost is found again', async () => {
  rig.seller.setFaults([
    { kind: 'lose-response', operation: 'createDestination', count: 1 },
    { kind: 'lose-response', operation: 'createSubscription', count: 1 },
  ]);
  const report = await subscribe();
  expect(report.missing).toEqual([]);
  expect(report.problems).toEqual([]);
  expect(rig.seller.notifications.destinations.size).toBe(2);
});

test.each([
  ['goes to another destination', { destinationId: 'elsewhere' }],
  [
    'leaves changes of status out',
    {
      processingDirective: {
        eventFilter: { eventFilterType: 'ORDER_CHANGE', orderChangeTypes: ['BuyerRequestedChange'] },
      },
    },
  ],
  ['is narrowed by an expression', { processingDirective: { filterExpression: 'false' } }],
])('a subscription that %s is reported and replaced', async (_what, wrong) => {
  await subscribe();
  const right = subscriptions().get('ORDER_CHANGE');
  if (right === undefined) throw new Error('not subscribed');
  subscriptions().set('ORDER_CHANGE', { ...right, ...wrong });
  const found = await rig.connector.checkSubscriptions(target, never);
  expect(found.problems.join()).toContain('ORDER_CHANGE');
  expect((await subscribe()).created).toEqual(['ORDER_CHANGE']);
  expect(subscriptions().get('ORDER_CHANGE')).toMatchObject({ destinationId: right.destinationId });
});

test('a subscription that was deleted is made again', async () => {
  await subscribe();
  subscriptions().delete('ORDER_CHANGE');
  expect((await rig.connector.checkSubscriptions(target, never)).missing).toEqual(['ORDER_CHANGE']);
  expect((await subscribe()).created).toEqual(['ORDER_CHANGE']);
});

test('without queue and event bus the merchant is told what that means', async () => {
  const alone = rig.second({ queueArn: undefined, eventBridge: undefined });
  const report = await subscribe(alone);
  expect(report.problems).toHaveLength(2);
  expect(report.created).toEqual([]);
  expect(alone.capabilities.pushes).toBe(false);
});
