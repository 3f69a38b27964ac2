import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock, type SandboxClock } from '../../../sandbox/shopify/clock.ts';
import { SqsSource, type SqsSourceOptions } from '../../../src/connectors/amazon/sqs-source.ts';
import type { InboundDelivery } from '../../../src/connectors/inbound-source.ts';
import { MemoryLog, never } from '../shopify/parts.ts';
import { type Rig, rigFor } from './parts.ts';

const secret = 'aws-secret-canary';
let rig: Rig;
let log: MemoryLog;
let sources: SqsSource[];

beforeEach(() => start());
afterEach(async () => {
  await Promise.all(sources.map((source) => source.close()));
  await rig.close();
});

async function start(clock?: SandboxClock): Promise<void> {
  if (rig !== undefined) await rig.close();
  rig = await rigFor({}, {}, clock);
  rig.sandbox.sqs.accessKeyId = 'AKIASANDBOX';
  log = new MemoryLog();
  sources = [];
}

function sourceFor(more: Partial<SqsSourceOptions> = {}): SqsSource {
  const source = new SqsSource({
    queueUrl: rig.queue.url,
    region: 'us-east-1',
    endpoint: rig.sandbox.url,
    credentials: { accessKeyId: 'AKIASANDBOX', secretAccessKey: secret },
    clock: { nowMs: () => Date.now() },
    log,
    waitS: 1,
    visibilityS: 30,
    maxBackOffMs: 20,
    ...more,
  });
  sources.push(source);
  return source;
}

const notification = (id: string, type = 'LISTINGS_ITEM_MFN_QUANTITY_CHANGE') =>
  JSON.stringify({
    NotificationType: type,
    Payload: { SellerId: rig.seller.sellerId, Sku: id },
    NotificationMetadata: { NotificationId: id },
  });

/** Takes everything and remembers it. */
function collector() {
  const taken: InboundDelivery[] = [];
  return { taken, accept: (delivery: InboundDelivery) => void taken.push(delivery) };
}

describe('nothing is lost', () => {
  test('a message is deleted only after it was accepted', async () => {
    rig.queue.send(notification('one'));
    let release = (): void => {};
    const isDurable = new Promise<void>((resolve) => (release = resolve));
    const taken: string[] = [];
    sourceFor().start(async ({ deliveryId }) => {
      taken.push(deliveryId);
      await isDurable;
    });
    await expect.poll(() => taken).toEqual(['LISTINGS_ITEM_MFN_QUANTITY_CHANGE|one']);
    expect(rig.queue.depth).toBe(1);
    release();
    await expect.poll(() => rig.queue.depth).toBe(0);
  });

  test('what was accepted is deleted before a close ends, not left to come again', async () => {
    rig.queue.send(notification('one'));
    const { taken, accept } = collector();
    // Long enough that the delete still waits for others when the close comes.
    const source = sourceFor({ visibilityS: 60 });
    source.start(async (delivery) => accept(delivery));
    await expect.poll(() => taken.length).toBe(1);
    await source.close();
    expect(rig.queue.depth).toBe(0);
  });

  test('more messages than one request deletes are deleted all the same', async () => {
    for (let count = 0; count < 25; count++) rig.queue.send(notification(String(count)));
    const { taken, accept } = collector();
    sourceFor().start(async (delivery) => accept(delivery));
    await expect.poll(() => rig.queue.depth, { timeout: 10_000 }).toBe(0);
    expect(taken).toHaveLength(25);
    expect(log.lines).toEqual([]);
  });

  test('a message that was not accepted comes again, and the others of its batch are deleted', async () => {
    for (const id of ['good', 'bad', 'fine']) rig.queue.send(notification(id));
    const seen: string[] = [];
    sourceFor().start(({ body, deliveryId }) => {
      seen.push(deliveryId);
      const isFirst = seen.filter((id) => id === deliveryId).length === 1;
      return body.includes('"bad"') && isFirst ? Promise.reject(new Error('ledger away')) : Promise.resolve();
    });
    await expect.poll(() => rig.queue.depth, { timeout: 10_000 }).toBe(0);
    expect(seen.filter((id) => id.endsWith('|bad'))).toHaveLength(2);
    expect(seen).toHaveLength(4);
  });

  test('while it is being accepted it stays hidden from other daemons', async () => {
    // The queue's time passes only while this process runs: a pause leaves the message hidden, as it holds up the extension.
    const clock = new ManualClock(Date.now());
    await start(clock);
    const tickMs = 50;
    const ticking = setInterval(() => clock.advance(tickMs), tickMs);
    try {
      rig.queue.send(notification('slow'));
      const steps: string[] = [];
      const accept = async (): Promise<void> => {
        steps.push('taken');
        await new Promise<void>((resolve) => clock.schedule(2_500, resolve));
        steps.push('durable');
      };
      sourceFor({ visibilityS: 1 }).start(accept);
      sourceFor({ visibilityS: 1 }).start(accept);
      await expect.poll(() => steps).toContain('durable');
      expect(steps).toEqual(['taken', 'durable']);
      await expect.poll(() => rig.queue.depth).toBe(0);
      expect(steps).toHaveLength(2);
    } finally {
      await Promise.all(sources.map((source) => source.close()));
      clearInterval(ticking);
    }
  });

  test('an extension that is still under way when it is refused does not put its return off', async () => {
    const clock = new ManualClock(Date.now());
    await start(clock);
    const message = rig.queue.send(notification('one'));
    const extension = Promise.withResolvers<void>();
    const { promise: mayArrive, resolve: arrive } = Promise.withResolvers<void>();
    const { sqs } = rig.sandbox;
    const handle = sqs.handle.bind(sqs);
    let changes = 0;
    sqs.handle = async (request, response) => {
      if (request.headers['x-amz-target'] === 'AmazonSQS.ChangeMessageVisibility' && ++changes === 1) {
        extension.resolve();
        await mayArrive;
      }
      await handle(request, response);
    };
    const source = sourceFor({ visibilityS: 1 });
    source.start(async () => {
      await extension.promise;
      throw new Error('ledger away');
    });
    await expect.poll(() => log.lines.length).toBe(1);
    // Time for the retry's own to overtake it, if it did not wait.
    await delay(200);
    arrive();
    await expect.poll(() => message.visibleAt).toBe(clock.now() + 2_000);
    await source.close();
    expect(changes).toBe(2);
    expect(message.visibleAt).toBe(clock.now() + 2_000);
  });

  test('what was in hand at the end is left to the next run', async () => {
    rig.queue.visibilityMs = 0;
    rig.queue.send(notification('one'));
    const first = sourceFor({ visibilityS: 0 });
    first.start(() => Promise.reject(new Error('stopping')));
    await expect.poll(() => log.lines.length).toBeGreaterThan(0);
    await first.close();
    expect(rig.queue.depth).toBe(1);
  });

  test('what cannot be read is accepted too, under the id of the message', async () => {
    const { taken, accept } = collector();
    rig.queue.send('not json');
    rig.queue.send(notification('odd', 'SOMETHING_NEW'));
    sourceFor().start(async (delivery) => accept(delivery));
    await expect.poll(() => rig.queue.depth).toBe(0);
    expect(taken.map(({ topic }) => topic).toSorted()).toEqual(['SOMETHING_NEW', 'unreadable']);
    for (const delivery of taken)
      expect(rig.connector.parseWebhook(Buffer.from(delivery.body), delivery.headers).parked).toHaveLength(1);
  });
});

describe('AWS is away', () => {
  test('an outage is waited out, and shown', async () => {
    rig.sandbox.sqs.outage = 'ServiceUnavailable';
    const source = sourceFor();
    const { taken, accept } = collector();
    source.start(async (delivery) => accept(delivery));
    await expect.poll(() => source.health.kind).toBe('failing');
    rig.queue.send(notification('later'));
    rig.sandbox.sqs.outage = null;
    await expect.poll(() => taken.length, { timeout: 10_000 }).toBe(1);
    await expect.poll(() => source.health.kind).toBe('ok');
  });

  test.each([
    ['another access key', { credentials: { accessKeyId: 'AKIAOTHER', secretAccessKey: secret } }],
    ['another queue', { queueUrl: 'http://127.0.0.1/123456789012/elsewhere' }],
  ])('%s is told without any secret', async (_what, more) => {
    const source = sourceFor(more);
    source.start(() => Promise.resolve());
    await expect.poll(() => source.health.kind).toBe('failing');
    expect(JSON.stringify([source.health, log.lines])).not.toContain(secret);
  });
});

test('a close does not wait for the long poll to end', async () => {
  const source = sourceFor({ waitS: 20 });
  source.start(() => Promise.resolve());
  await delay(100);
  const beganAt = performance.now();
  await source.close();
  expect(performance.now() - beganAt).toBeLessThan(5_000);
});

test('from a sale to the line of its order, through queue and parser', async () => {
  rig.seller.settings.notificationDuplicateRate = 1;
  rig.seller.settings.notifyOnPending = true;
  await rig.connector.subscribe({ callbackUrl: '' }, never);
  rig.seller.addListing({ sku: 'MUG-1', quantity: 5 });
  const { taken, accept } = collector();
  sourceFor().start(async (delivery) => accept(delivery));
  rig.seller.orders.place({ lines: [{ sku: 'MUG-1', quantity: 2 }] });
  await expect.poll(() => taken.length).toBe(2);
  // At least once: the repeat has the same id.
  expect(new Set(taken.map(({ deliveryId }) => deliveryId)).size).toBe(1);
  const parsed = rig.connector.parseWebhook(Buffer.from(taken[0]?.body ?? ''), {});
  expect(parsed.orders[0]?.lines[0]).toMatchObject({ sku: 'MUG-1', counters: { ordered: 2, takenOut: 2 } });
});

test('events of the event bus come through the same queue', async () => {
  await rig.connector.subscribe({ callbackUrl: '' }, never);
  rig.seller.notifications.eventTarget = { kind: 'queue', arn: rig.queue.arn };
  rig.seller.addListing({ sku: 'MUG-1', quantity: 5 });
  const { taken, accept } = collector();
  sourceFor().start(async (delivery) => accept(delivery));
  rig.seller.listings.edit('MUG-1', 4);
  await expect.poll(() => taken.length).toBe(1);
  expect(rig.connector.parseWebhook(Buffer.from(taken[0]?.body ?? ''), {}).levelHints).toEqual(['MUG-1']);
});
