import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StockmeshError } from '../../src/domain/errors.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { EmbeddedRedis, type EmbeddedRedisSettings } from '../../src/ledger/redis-server.ts';
import { connectTestRedis, failOnLeakedConnections } from '../support/redis-connections.ts';
import { startPrivateRedis } from '../support/redis.ts';
import { eventually } from '../support/eventually.ts';

failOnLeakedConnections();

let dataDir: string;
let servers: EmbeddedRedis[] = [];
let daemons: ChildProcess[] = [];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'sm-embedded-'));
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  for (const daemon of daemons) daemon.kill('SIGKILL');
  servers = [];
  daemons = [];
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
});

function embedded(settings: Partial<EmbeddedRedisSettings> = {}): EmbeddedRedis {
  const server = new EmbeddedRedis({
    dir: join(dataDir, 'redis'),
    serverPath: process.env['STOCKMESH_REDIS_SERVER'],
    durability: 'always',
    log: pino({ level: 'silent' }),
    onFailed: () => undefined,
    ...settings,
  });
  servers.push(server);
  return server;
}

async function startDaemon(
  waitForLockMs = 500,
): Promise<{ child: ChildProcess; socketPath: string; redisPid: number }> {
  const script = join(import.meta.dirname, '../support/embedded-redis-daemon.ts');
  const child = spawn(process.execPath, [script, dataDir, String(waitForLockMs)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  daemons.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, ...(JSON.parse(line.toString()) as { socketPath: string; redisPid: number }) };
}

function isAlive(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    process.kill(pid, 0);
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<void> {
  await eventually(() => expect(condition()).toBe(true));
}

describe('refuses, and says why', () => {
  test('a program that is not there', async () => {
    const server = embedded({ serverPath: join(dataDir, 'no-redis') });
    await expect(server.start()).rejects.toMatchObject({ code: 'REDIS_NOT_INSTALLED' });
  });

  test('a damaged file, which is left as it is', async () => {
    const first = embedded();
    await first.start();
    const redis = connectTestRedis(first.socketPath);
    for (let index = 0; index < 50; index++) await redis.set(`key:${index}`, 'x'.repeat(50));
    await redis.quit();
    await first.stop();
    const file = appendOnlyFile();
    const content = readFileSync(file);
    content.fill(0xee, 1_000, 1_016);
    writeFileSync(file, content);

    await expect(embedded().start()).rejects.toMatchObject({
      code: 'LEDGER_FILE_CORRUPT',
      fields: { detail: expect.stringContaining('Bad file format') as string },
    });
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  test('a server that never becomes ready', async () => {
    const fake = join(dataDir, 'sleeper');
    writeFileSync(fake, '#!/bin/sh\nexec sleep 60\n', { mode: 0o755 });
    const server = embedded({ serverPath: fake, readyWithinMs: 200 });
    await expect(server.start()).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
  });

  test.each([
    'Error writing to the AOF file: No space left on device',
    'Short write while writing to the AOF file: (nwritten=5396, expected=20033)',
  ])('a full disk, in the words of Redis: %s', async (words) => {
    const fake = join(dataDir, 'full');
    writeFileSync(fake, `#!/bin/sh\necho "${words}"\nexit 1\n`, { mode: 0o755 });
    await expect(embedded({ serverPath: fake }).start()).rejects.toMatchObject({ code: 'LEDGER_DISK_FULL' });
  });
});

test('serves with the promised settings, on a socket only its owner may use', async () => {
  const server = embedded();
  await server.start();
  const redis = connectTestRedis(server.socketPath);
  const settings = await redis.config('GET', 'append*', 'maxmemory-policy', 'save', 'port');
  await redis.quit();
  const setting = (name: string): string | undefined => settings[settings.indexOf(name) + 1];
  expect(setting('appendonly')).toBe('yes');
  expect(setting('appendfsync')).toBe('always');
  expect(setting('maxmemory-policy')).toBe('noeviction');
  expect(setting('save')).toBe('');
  expect(setting('port')).toBe('0');
  await server.stop();
  expect(isAlive(server.pid)).toBe(false);
  expect(existsSync(join(dataDir, 'redis/redis.sock'))).toBe(false);
});

test('a directory whose path is too long for a socket is reached through a link, which is removed', async () => {
  const deep = join(dataDir, 'long-name-'.repeat(12), 'more-'.repeat(20));
  mkdirSync(deep, { recursive: true });
  const server = embedded({ dir: deep });
  await server.start();
  expect(Buffer.byteLength(server.socketPath)).toBeLessThan(104);
  const redis = connectTestRedis(server.socketPath);
  expect(await redis.ping()).toBe('PONG');
  await redis.quit();
  const link = server.socketPath;
  await server.stop();
  expect(existsSync(link)).toBe(false);
});

test('after kill -9 it serves again at the same place with everything acknowledged, again and again', async () => {
  const reasons: StockmeshError[] = [];
  const server = embedded({ onRestart: (reason) => reasons.push(reason) });
  await server.start();
  const redis = connectTestRedis(server.socketPath);
  for (let round = 1; round <= 3; round++) {
    expect(await redis.incr('acknowledged')).toBe(round);
    const { pid } = server;
    process.kill(pid ?? 0, 'SIGKILL');
    await until(() => server.state === 'running' && server.pid !== pid);
  }
  expect(await redis.get('acknowledged')).toBe('3');
  expect(reasons.map(({ code }) => code)).toEqual(Array.from({ length: 3 }, () => 'REDIS_UNAVAILABLE'));
  await redis.quit();
});

test('a file that is damaged while running ends the daemon instead of being repaired', async () => {
  const failures: StockmeshError[] = [];
  const server = embedded({ onFailed: (error) => failures.push(error) });
  await server.start();
  const redis = connectTestRedis(server.socketPath);
  for (let index = 0; index < 50; index++) await redis.set(`key:${index}`, 'x'.repeat(50));
  redis.disconnect();
  const file = appendOnlyFile();
  const content = readFileSync(file);
  content.fill(0xee, 1_000, 1_016);
  writeFileSync(file, content);
  process.kill(server.pid ?? 0, 'SIGKILL');
  await until(() => failures.length > 0);
  expect(failures[0]?.code).toBe('LEDGER_FILE_CORRUPT');
  expect(server.state).toBe('failed');
});

test('stop ends a pause between two tries at once', async () => {
  const server = embedded();
  await server.start();
  process.kill(server.pid ?? 0, 'SIGKILL');
  await until(() => server.state !== 'running');
  await server.stop();
  expect(server.state).toBe('stopped');
  expect(isAlive(server.pid)).toBe(false);
});

describe('over the death of the daemon', () => {
  test('SIGKILL and an immediate restart lose nothing', async () => {
    const first = await startDaemon();
    const redis = connectTestRedis(first.socketPath);
    await redis.set('acknowledged', 'yes');
    first.child.kill('SIGKILL');
    const second = await startDaemon();
    expect(second.redisPid).not.toBe(first.redisPid);
    expect(await redis.get('acknowledged')).toBe('yes');
    redis.disconnect();
    expect(isAlive(first.redisPid)).toBe(false);
    second.child.kill('SIGTERM');
    const [code] = (await once(second.child, 'exit')) as [number];
    expect(code).toBe(0);
    expect(isAlive(second.redisPid)).toBe(false);
  });

  test('a second daemon on the directory is refused with the stated exit code', async () => {
    await startDaemon();
    const script = join(import.meta.dirname, '../support/embedded-redis-daemon.ts');
    const second = spawn(process.execPath, [script, dataDir, '100'], { stdio: 'ignore' });
    const [code] = (await once(second, 'exit')) as [number];
    expect(code).toBe(exitCodes.dataDirLocked);
  });

  test('a redis-server left running is stopped before ours starts, with what it acknowledged', async () => {
    const dir = join(dataDir, 'redis');
    mkdirSync(dir);
    const orphan = await startPrivateRedis({ dir, extraArgs: ['--pidfile', join(dir, 'redis.pid')] });
    const writer = connectTestRedis(orphan.path);
    await writer.set('acknowledged', 'yes');
    writer.disconnect();
    const server = embedded();
    await server.start();
    expect(isAlive(orphan.pid)).toBe(false);
    const redis = connectTestRedis(server.socketPath);
    expect(await redis.get('acknowledged')).toBe('yes');
    await redis.quit();
    await orphan.stop();
  });

  test('also one whose socket is gone, and one that hangs', async () => {
    for (const disturb of ['socket', 'hang'] as const) {
      const dir = join(dataDir, 'redis');
      mkdirSync(dir, { recursive: true });
      const orphan = await startPrivateRedis({ dir, extraArgs: ['--pidfile', join(dir, 'redis.pid')] });
      if (disturb === 'socket') rmSync(orphan.path);
      else await orphan.kill('SIGSTOP');
      const server = embedded();
      await server.start();
      expect(isAlive(orphan.pid)).toBe(false);
      await server.stop();
      await orphan.stop();
    }
  });

  test('a pid file that names a foreign process harms nobody', async () => {
    const dir = join(dataDir, 'redis');
    mkdirSync(dir);
    const bystander = spawn('sleep', ['60'], { stdio: 'ignore' });
    daemons.push(bystander);
    writeFileSync(join(dir, 'redis.pid'), `${bystander.pid}\n`);
    await embedded().start();
    await delay(20);
    expect(isAlive(bystander.pid)).toBe(true);
  });
});

function appendOnlyFile(): string {
  const dir = join(dataDir, 'redis/appendonlydir');
  const name = readdirSync(dir).find((file) => file.endsWith('.incr.aof'));
  return join(dir, name ?? '');
}
