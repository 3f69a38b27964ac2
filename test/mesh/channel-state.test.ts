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
