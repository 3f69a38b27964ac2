import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { lockDataDir } from '../../src/ledger/data-dir-lock.ts';
import { RedisHost, type RedisHostSettings } from '../../src/ledger/redis-host.ts';
import { RedisMetrics } from '../../src/telemetry/metrics.ts';
import { startPrivateRedisOnPort } from '../support/redis-on-port.ts';
import { eventually } from '../support/eventually.ts';

let dataDir: string;
let metrics: RedisMetrics;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'sm-host-'));
  metrics = new RedisMetrics(new Registry());
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

function settings(redis: Partial<RedisHostSettings['redis']> = {}): RedisHostSettings {
  return {
    dataDir,
    merchant: 'acme',
    redis: { durability: 'always', serverPath: process.env['STOCKMESH_REDIS_SERVER'], ...redis },
    checkMs: 50,
    log: pino({ level: 'silent' }),
    metrics,
    onFailed: () => undefined,
  };
}

async function expectUnlocked(): Promise<void> {
  const lock = await lockDataDir(dataDir, 0);
  lock.release();
}

test('a refused Redis leaves nothing behind: no lock, no connection', async () => {
  const { server, port } = await startPrivateRedisOnPort((free) => ({
    appendfsync: 'everysec',
    extraArgs: ['--port', String(free), '--requirepass', 'right-password'],
  }));
  const url = `redis://127.0.0.1:${port}`;
  for (const [password, code] of [
    ['wrong-password', 'REDIS_ACCESS_DENIED'],
    ['right-password', 'REDIS_SETTING_WRONG'],
  ] as const) {
    await expect(RedisHost.open(settings({ url, password: new Secret(password) }))).rejects.toMatchObject({
      code,
    });
  }
  await expectUnlocked();
  await server.stop();
});

test('no second host on one directory', async () => {
  const host = await RedisHost.open(settings());
  await expect(RedisHost.open(settings())).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
  await host.close();
  await expectUnlocked();
});

test('its connections come back after kill -9 of the embedded Redis, which is counted', async () => {
  const host = await RedisHost.open(settings());
  const blocking = host.connect('blocking');
  await blocking.set('acknowledged', 'yes');
  const pid = Number(/process_id:(\d+)/.exec(await host.commands.info('server'))?.[1]);
  process.kill(pid, 'SIGKILL');
  expect(await blocking.get('acknowledged')).toBe('yes');
  await eventually(() => expect(host.health.kind).toBe('right'));
  expect((await metrics.restarts.get()).values[0]?.value).toBe(1);
  await host.close();
});

test('a setting that turns wrong while running shows in health and metrics', async () => {
  const host = await RedisHost.open(settings());
  await host.commands.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await eventually(() => expect(host.health).toMatchObject({ kind: 'wrong' }));
  expect((await metrics.up.get()).values[0]?.value).toBe(0);
  expect((await metrics.refusals.get()).values[0]?.labels).toEqual({ setting: 'maxmemory-policy' });
  await host.close();
});
