import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { checkRedis, parseInfo } from '../../src/ledger/redis-checks.ts';
import { connectRedis, waitUntilReady } from '../../src/ledger/redis-connection.ts';
import { type RedisHealth, RedisWatch } from '../../src/ledger/redis-watch.ts';
import { connectTestRedis, failOnLeakedConnections } from '../support/redis-connections.ts';
import { startPrivateRedisOnPort } from '../support/redis-on-port.ts';
import { type PrivateRedis, startPrivateRedis } from '../support/redis.ts';
import { eventually } from '../support/eventually.ts';

failOnLeakedConnections();

let server: PrivateRedis;
let redis: Redis;

describe('a Redis of the merchant', () => {
  beforeEach(async () => {
    server = await startPrivateRedis({ appendonly: true, appendfsync: 'always' });
    redis = connectTestRedis(server.path);
  });
  afterEach(async () => {
    redis.disconnect();
    await server.stop();
  });

  test.each([
    ['appendonly', 'no'],
    ['appendfsync', 'everysec'],
    ['appendfsync', 'no'],
    ['no-appendfsync-on-rewrite', 'yes'],
    ['maxmemory-policy', 'allkeys-lru'],
    ['maxmemory-policy', 'volatile-ttl'],
  ])('is refused with %s %s', async (setting, found) => {
    await redis.config('SET', setting, found);
    await expect(checkRedis(redis, 'always')).rejects.toMatchObject({
      code: 'REDIS_SETTING_WRONG',
      retryable: false,
      fields: { setting, found },
    });
  });

  test('is refused when the user may read neither CONFIG nor what INFO cannot say', async () => {
    await redis.call('ACL', 'SETUSER', 'shop', 'on', '>pw-123456', '~*', '+@all', '-config');
    const limited = connectTestRedis(server.path, { username: 'shop', password: 'pw-123456' });
    await expect(checkRedis(limited, 'always')).rejects.toMatchObject({
      code: 'REDIS_SETTING_UNKNOWN',
      fields: { setting: 'appendfsync' },
    });
    expect(await checkRedis(limited, 'everysec')).toMatchObject({ readFrom: 'info' });
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await expect(checkRedis(limited, 'everysec')).rejects.toMatchObject({ code: 'REDIS_SETTING_WRONG' });
    await redis.call('ACL', 'SETUSER', 'shop', '-info');
    await expect(checkRedis(limited, 'everysec')).rejects.toMatchObject({ code: 'REDIS_SETTING_UNKNOWN' });
    limited.disconnect();
  });

  test('is accepted with the right settings, and with more than was asked for', async () => {
    const facts = await checkRedis(redis, 'always');
    expect(facts.version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(facts.readFrom).toBe('config');
    await checkRedis(redis, 'everysec');
  });

  test('is watched: a setting changed while running is noticed, and its repair too', async () => {
    const seen: RedisHealth['kind'][] = [];
    const watch = new RedisWatch({
      redis,
      durability: 'always',
      intervalMs: 20,
      onChange: ({ kind }) => seen.push(kind),
    });
    watch.start();
    await eventually(() => expect(watch.health.kind).toBe('right'));
    await redis.config('SET', 'appendfsync', 'no');
    await eventually(() => expect(watch.health.kind).toBe('wrong'));
    await redis.config('SET', 'appendfsync', 'always');
    await eventually(() => expect(watch.health.kind).toBe('right'));
    await watch.stop();
    // A check that the machine slept through found nobody in time, and the next one what was there before.
    const answered = seen.filter((kind) => kind !== 'away');
    expect(answered.filter((kind, i) => kind !== answered[i - 1])).toEqual(['right', 'wrong', 'right']);
  });

  test('is watched: one that hangs is away within seconds, and comes back', async () => {
    const watch = new RedisWatch({ redis, durability: 'always', intervalMs: 20, onChange: () => undefined });
    await watch.check();
    await server.kill('SIGSTOP');
    expect(await watch.check()).toMatchObject({ kind: 'away', error: { code: 'REDIS_UNAVAILABLE' } });
    await server.kill('SIGCONT');
    await eventually(async () => expect(await watch.check()).toMatchObject({ kind: 'right' }));
    await watch.stop();
  });
});

describe('connecting', () => {
  let protectedServer: PrivateRedis;
  beforeEach(async () => {
    protectedServer = await startPrivateRedis({
      extraArgs: ['--requirepass', 'right-password', '--port', '0'],
    });
  });
  afterEach(() => protectedServer.stop());

  test.each([
    ['a wrong password', new Secret('wrong-password-canary')],
    ['no password', undefined],
  ])('with %s is refused plainly, without repeating it', async (_name, password) => {
    // A socket address has no place for a password in our configuration; the option is the same one.
    const connection = connectTestRedis(protectedServer.path, { password: password?.reveal() });
    const refusal = waitUntilReady(connection, 'redis.example:6379', 5_000);
    await expect(refusal).rejects.toMatchObject({ code: 'REDIS_ACCESS_DENIED' });
    await expect(refusal).rejects.not.toThrow(/canary/);
    connection.disconnect();
  });

  test('to nobody ends in time, with the reason', async () => {
    const connection = connectRedis(
      { kind: 'url', url: 'redis://127.0.0.1:1' },
      { kind: 'commands', name: 'stockmesh:test:commands' },
    );
    // A wait that the machine slept through heard of no refusal; the client goes on trying, so another one will.
    await eventually(() =>
      expect(waitUntilReady(connection, 'redis://127.0.0.1:1', 300)).rejects.toMatchObject({
        code: 'REDIS_UNAVAILABLE',
        retryable: true,
        message: expect.stringContaining('ECONNREFUSED') as string,
      }),
    );
    connection.disconnect();
  });

  test('over TCP with user and password works, comes back after kill -9, and is named', async () => {
    const { server: tcp, port } = await startPrivateRedisOnPort((free) => ({
      extraArgs: ['--port', String(free), '--requirepass', 'right-password'],
    }));
    const connection = connectRedis(
      {
        kind: 'url',
        url: `redis://127.0.0.1:${port}/2`,
        username: 'default',
        password: new Secret('right-password'),
      },
      { kind: 'blocking', name: 'stockmesh:test:blocking' },
    );
    await waitUntilReady(connection, 'tcp', 5_000);
    expect(await connection.client('INFO')).toMatch(/name=stockmesh:test:blocking .*\bdb=2\b/);
    await connection.set('acknowledged', 'yes');
    await tcp.kill('SIGKILL');
    await delay(50);
    // Another process may have tried the port just now.
    await eventually(() => tcp.restart());
    expect(await connection.get('acknowledged')).toBe('yes');
    connection.disconnect();
    await tcp.stop();
  });
});

test('INFO is read by its fields', () => {
  const info = parseInfo(
    '# Server\r\nredis_version:7.0.15\r\nname:a:b\r\n\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n',
  );
  expect(Object.fromEntries(info)).toEqual({
    redis_version: '7.0.15',
    name: 'a:b',
    maxmemory_policy: 'noeviction',
  });
});
