import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { connectTestRedis, failOnLeakedConnections } from './redis-connections.ts';
import { startPrivateRedis, uniqueMerchant } from './redis.ts';

failOnLeakedConnections();

test('the shared Redis answers, and merchants differ', async () => {
  const redis = connectTestRedis();
  expect(await redis.ping()).toBe('PONG');
  await redis.quit();
  expect(uniqueMerchant()).not.toBe(uniqueMerchant());
  expect(uniqueMerchant()).toMatch(/^t-[a-z0-9]+$/);
});

test('a private Redis keeps acknowledged writes over kill -9 and leaves nothing behind', async () => {
  const server = await startPrivateRedis({ appendfsync: 'always' });
  try {
    const redis = connectTestRedis(server.path);
    await redis.set('k', 'v');
    const pidBefore = server.pid;
    await server.kill('SIGKILL');
    await server.restart();
    expect(server.pid).not.toBe(pidBefore);
    expect(await redis.get('k')).toBe('v');
    await redis.quit();
  } finally {
    await server.stop();
  }
  expect(existsSync(server.dir)).toBe(false);
});
