import type { Redis } from 'ioredis';
import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ChannelId } from '../../src/domain/ids.ts';
import type { ChannelMode } from '../../src/mesh/channel.ts';
import { ChannelModes } from '../../src/mesh/channel-modes.ts';
import { eventually } from '../support/eventually.ts';
import { connectTestRedis, failOnLeakedConnections } from '../support/redis-connections.ts';
import { uniqueMerchant } from '../support/redis.ts';

failOnLeakedConnections();

const shop = 'shop' as ChannelId;
let redis: Redis;
let key: string;
const open: ChannelModes[] = [];

beforeEach(() => {
  redis = connectTestRedis();
  key = `sm:{${uniqueMerchant()}}:modes`;
});
afterEach(() => {
  for (const modes of open.splice(0)) modes.close();
  redis.disconnect();
});

async function modesOf(configured: ChannelMode): Promise<ChannelModes> {
  const modes = new ChannelModes(redis, key, new Map([[shop, configured]]), pino({ level: 'silent' }));
  await modes.start();
  open.push(modes);
  return modes;
}

test('a channel that is not configured is off, and has no mode to show', async () => {
  const modes = await modesOf('observe');
  expect(modes.of('other' as ChannelId)).toBe('off');
  expect(modes.view('other' as ChannelId)).toBeUndefined();
});

test('a command counts in every daemon and over restarts, until the configuration says something else', async () => {
  const [one, two] = [await modesOf('observe'), await modesOf('observe')];
  const heard: ChannelMode[] = [];
  two.onChanged((channel) => heard.push(two.of(channel)));
  await one.set(shop, 'live', 'operator:ann');
  expect(one.view(shop)).toMatchObject({ mode: 'live', configured: 'observe', changedBy: 'operator:ann' });
  await eventually(() => expect(heard).toEqual(['live']));

  expect((await modesOf('observe')).of(shop)).toBe('live');
  expect((await modesOf('dry-run')).view(shop)).toMatchObject({ mode: 'dry-run', changedBy: null });
  await one.set(shop, 'observe', 'operator:ann');
  expect(one.view(shop)).toMatchObject({ mode: 'observe', changedBy: null });
});
