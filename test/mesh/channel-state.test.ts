import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Redis } from 'ioredis';
import type { ChannelId } from '../../src/domain/ids.ts';
import type { ChannelMode, ChannelSettings } from '../../src/mesh/channel.ts';
import { ChannelStates } from '../../src/mesh/channel-state.ts';
import { connectTestRedis, failOnLeakedConnections } from '../support/redis-connections.ts';
import { uniqueMerchant } from '../support/redis.ts';

failOnLeakedConnections();

let redis: Redis;
let key: string;
const shop = 'shop-a' as ChannelId;

beforeEach(() => {
  redis = connectTestRedis();
  key = `sm:{${uniqueMerchant()}}:channels`;
});
afterEach(() => redis.disconnect());

function states(mode: ChannelMode = 'live'): ChannelStates {
  const settings: ChannelSettings = {
    id: shop,
    platform: 'shopify',
    mode,
    locations: [],
    sourceRules: new Map(),
    openingFigure: 'available',
    aliases: new Map(),
  };
  return new ChannelStates(redis, key, [settings], pino({ level: 'silent' }));
}

test('nothing is published before the listings are known, nor while attention is needed', () => {
  const made = states();
  expect(made.mayPublish(shop)).toBe(false);
  made.connected(shop, 3);
  expect(made.mayPublish(shop)).toBe(true);
  made.needsAttention(shop, 'the app was\n uninstalled');
  expect(made.mayPublish(shop)).toBe(false);
  expect(made.view(shop)).toMatchObject({
    status: 'needs-attention',
    attention: { reason: 'the app was uninstalled' },
  });
  made.attentionOver(shop);
  expect(made.mayPublish(shop)).toBe(true);
  expect(made.mayPublish('other' as ChannelId)).toBe(false);
});

test.each([
  ['off', false],
  ['observe', true],
  ['dry-run', true],
  ['live', true],
] as const)('in mode %s listings are looked at: %s', (mode, may) => {
  const made = states(mode);
  made.connected(shop, 1);
  expect(made.mayPublish(shop)).toBe(may);
});

test('what is known outlives the daemon', async () => {
  const first = states();
  first.needsAttention(shop, 'token refused');
  first.webhookSeen(shop, 11);
  first.pollSeen(shop, 12);
  await first.flush();
  const second = states();
  await second.load();
  expect(second.view(shop)).toMatchObject({
    status: 'needs-attention',
    lastWebhookAtMs: 11,
    lastPollAtMs: 12,
  });
});

test('what one daemon learns another hears, and none writes over it', async () => {
  const [first, second] = [states(), states()];
  first.connected(shop, 1);
  second.connected(shop, 1);
  first.needsAttention(shop, 'token refused');
  await first.flush();
  // It has not heard yet, and writes what it knows itself.
  second.webhookSeen(shop, 21);
  await second.flush();
  await second.load();
  expect(second.mayPublish(shop)).toBe(false);
  await first.load();
  expect(first.view(shop)).toMatchObject({ lastWebhookAtMs: 21, attention: { reason: 'token refused' } });
  first.attentionOver(shop);
  await first.flush();
  await second.load();
  expect(second.mayPublish(shop)).toBe(true);
});

test('a circuit held open by hand is heard by every daemon, also by one that starts later', async () => {
  const heard: string[] = [];
  const [first, second] = [states(), states()];
  second.onHand((channel, { state, actor }) => heard.push(`${channel} ${state} ${actor}`));
  await first.setHand(shop, { state: 'open', actor: 'ann', atMs: 1 });
  await second.load();
  await second.load();
  expect(heard).toEqual(['shop-a open ann']);
  const third = states();
  await third.load();
  third.onHand((channel, { state }) => heard.push(`third: ${channel} ${state}`));
  expect(third.view(shop)).toMatchObject({ heldOpenBy: 'ann' });
  await third.setHand(shop, { state: 'closed', actor: 'bob', atMs: 2 });
  await second.load();
  expect(heard).toEqual([
    'shop-a open ann',
    'third: shop-a open',
    'third: shop-a closed',
    'shop-a closed bob',
  ]);
});

test('a fact that is being written is not undone by a reading from before', async () => {
  const made = states();
  made.connected(shop, 1);
  made.needsAttention(shop, 'the app was uninstalled');
  // The reading is answered before the writing.
  await Promise.all([made.load(), made.flush()]);
  expect(made.mayPublish(shop)).toBe(false);
  const other = states();
  await other.load();
  expect(other.view(shop)?.attention?.reason).toBe('the app was uninstalled');
  await made.close();
});
