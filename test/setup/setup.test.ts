import { type ChildProcessByStdio, spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { countsLine, filesToRunAgain, mergedCounts } from '../../scripts/checks.mjs';
import {
  exitCodes as setupExitCodes,
  isAtLeast,
  namesExternalRedis,
  parseServerVersion,
  redisInstallLine,
} from '../../scripts/setup.mjs';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { eventually } from '../support/eventually.ts';

const repository = dirname(dirname(import.meta.dirname));

test('set-up repeats its exit codes exactly as the project states them', () => {
  expect(exitCodes).toMatchObject(setupExitCodes);
});

test.each([
  ['v18.20.4', '22.20.0', false],
  ['22.19.9', '22.20.0', false],
  ['22.20.0', '22.20.0', true],
  ['v24.1.0', '22.20.0', true],
  ['22.20', '22.20.0', true],
  ['100.0.0', '22.20.0', true],
  ['', '22.20.0', false],
])('version %s >= %s is %s', (version, needed, answer) => {
  expect(isAtLeast(version, needed)).toBe(answer);
});

test.each([
  ['Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64', false],
  ['Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64', true],
  ['Valkey server v=7.2.4 sha=0', true],
  ['Valkey server v=7.0.9 sha=0', false],
])('%s is supported: %s', (output, isSupported) => {
  expect(parseServerVersion(output)?.isSupported).toBe(isSupported);
});

test('a program that is not Redis is not taken for one', () => {
  expect(parseServerVersion('memcached 1.6.18')).toBeUndefined();
});

test.each([
  ['ID=debian\nVERSION_ID="12"\n', 'linux', 'apt-get install -y redis-server'],
  ['NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n', 'linux', 'apt-get install -y redis-server'],
  ['ID=linuxmint\nID_LIKE="ubuntu debian"\n', 'linux', 'apt-get install -y redis-server'],
  ['ID=fedora\n', 'linux', 'dnf install -y redis'],
  ['ID="rocky"\nID_LIKE="rhel centos fedora"\n', 'linux', 'dnf install -y redis'],
  ['ID=arch\n', 'linux', 'pacman -S'],
  ['ID=alpine\n', 'linux', 'apk add redis'],
  ['', 'darwin', 'brew install redis'],
  ['ID=nixos\n', 'linux', 'Redis >= 7.0'],
])('the install line for %j on %s', (osRelease, platform, line) => {
  expect(redisInstallLine(osRelease, platform)).toContain(line);
});

test.each([
  ['redis:\n  url: redis://r:6379\n', true],
  ['merchant: { id: a }\nredis: { url: "redis://r" }\n', true],
  ['redis:\n  # a note\n\n  durability: always\n  url: env:REDIS_URL\nhttp: {}\n', true],
  ['redis:\n  # url: redis://r\n  durability: always\n', false],
  ['redis:\n  durability: always\nhttp:\n  url: x\n', false],
  ['channels:\n  - baseUrl: http://x\n', false],
  ['', false],
])('an external Redis is named in %j: %s', (yamlText, answer) => {
  expect(namesExternalRedis(yamlText)).toBe(answer);
});

test('the counts line, also when a run fails without a failed test', () => {
  const counts = { numPassedTests: 7, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 };
  expect(countsLine(counts, 0)).toBe('7 passed, 0 failed');
  expect(countsLine({ ...counts, numFailedTests: 2, numPendingTests: 1 }, 1)).toBe(
    '7 passed, 2 failed, 1 skipped',
  );
  expect(countsLine(counts, 1)).toBe('7 passed, 1 failed');
  expect(countsLine(undefined, 2)).toBe('0 passed, 1 failed');
});

test('only files in which nothing but waits ran out are run again, and only a few', () => {
  expect(filesToRunAgain(undefined)).toEqual([]);
  expect(filesToRunAgain({ failed: ['b'], timedOut: ['a'] })).toEqual([]);
  expect(filesToRunAgain({ failed: [], timedOut: ['a', 'b'] })).toEqual(['a', 'b']);
  expect(filesToRunAgain({ failed: [], timedOut: Array.from('abcdefg') })).toEqual([]);
});

test('a second run counts for the tests that failed in the first', () => {
  const counts = { numPassedTests: 90, numFailedTests: 3, numPendingTests: 1, numTodoTests: 0 };
  expect(mergedCounts(counts, { ...counts, numPassedTests: 11, numFailedTests: 1 })).toMatchObject({
    numPassedTests: 92,
    numFailedTests: 1,
    numPendingTests: 1,
  });
});

describe('a machine with everything but Redis', () => {
  let machine: string;

  beforeEach(() => {
    machine = mkdtempSync(join(tmpdir(), 'sm-setup-'));
    for (const dir of ['scripts', 'node_modules', 'bin']) mkdirSync(join(machine, dir));
    copyFileSync(join(repository, 'scripts/setup.mjs'), join(machine, 'scripts/setup.mjs'));
    writeFileSync(join(machine, 'package-lock.json'), '{}\n');
    const stamp = createHash('sha256').update('{}\n').digest('hex');
    writeFileSync(join(machine, 'node_modules/.stockmesh-lock-hash'), `${stamp}\n`);
    writeFileSync(join(machine, 'job.mjs'), 'console.log("ran", process.argv[2]); process.exit(7);\n');
    // Set-up is run as "nobody": that user must be able to read what root made.
    chmodSync(machine, 0o755);
  });
  afterEach(() => rmSync(machine, { recursive: true, force: true }));

  /** Node is already loaded when the user id is dropped, so a Node below /root does not disturb. */
  function runSetup(env: Record<string, string>, args: readonly string[]): SpawnSyncReturns<string> {
    const script = `
      if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534); }
      const { main } = await import(${JSON.stringify(join(machine, 'scripts/setup.mjs'))});
      process.exitCode = await main(${JSON.stringify(args)});`;
    return spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      cwd: machine,
      env,
    });
  }

  test('prints the line that installs Redis and exits with the stated code', () => {
    const result = runSetup({ PATH: join(machine, 'bin') }, ['run', 'job.mjs']);
    expect(result.stderr).toMatch(/^set-up: redis-server is not installed\. To install it:\n {2}\S.+\n$/);
    expect(result.stdout).toBe('');
    expect(result.status).toBe(exitCodes.redisMissing);
  });

  test('refuses a redis-server that is too old, by its path and version', () => {
    const server = join(machine, 'bin/redis-server');
    writeFileSync(server, '#!/bin/sh\necho "Redis server v=6.0.16 sha=0"\n', { mode: 0o755 });
    const result = runSetup({ PATH: `${join(machine, 'bin')}:/usr/bin:/bin` }, ['run', 'job.mjs']);
    expect(result.stderr).toContain(`${server} is Redis 6.0.16`);
    expect(result.status).toBe(exitCodes.redisMissing);
  });

  test('with Redis named it runs the job silently and hands back its exit code', () => {
    const server = join(machine, 'bin/other-server');
    writeFileSync(server, '#!/bin/sh\necho "Valkey server v=8.0.1 sha=0"\n', { mode: 0o755 });
    const result = spawnSync(
      process.execPath,
      [join(machine, 'scripts/setup.mjs'), 'run', 'job.mjs', '--flag'],
      {
        encoding: 'utf8',
        cwd: machine,
        env: { PATH: '/usr/bin:/bin', STOCKMESH_REDIS_SERVER: server },
      },
    );
    expect(result.stderr).toBe('');
    expect(result.stdout).toBe('ran --flag\n');
    expect(result.status).toBe(7);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s reaches the job, whose exit code is ours', async (signal) => {
    writeJob(
      `process.on('${signal}', () => process.exit(5)); setInterval(() => {}, 1000); console.log('up');`,
    );
    const child = spawnSetup(['run', 'job.mjs']);
    await once(child.stdout, 'data');
    child.kill(signal);
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(5);
  });

  test('the job is stopped when whoever started set-up is killed', async () => {
    writeJob(
      `process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000); console.log(process.pid);`,
    );
    const command = `"${process.execPath}" "${join(machine, 'scripts/setup.mjs')}" run job.mjs; echo never`;
    const shell = spawn('/bin/sh', ['-c', command], { cwd: machine, env: okEnvironment() });
    const [line] = (await once(shell.stdout, 'data')) as [Buffer];
    const jobPid = Number(line.toString());
    shell.kill('SIGKILL');
    await eventually(() => expect(() => process.kill(jobPid, 0)).toThrow());
  });

  function writeJob(source: string): void {
    writeFileSync(join(machine, 'job.mjs'), source);
  }
  function okEnvironment(): Record<string, string> {
    const server = join(machine, 'bin/ok-server');
    writeFileSync(server, '#!/bin/sh\necho "Redis server v=7.2.0 sha=0"\n', { mode: 0o755 });
    return { PATH: '/usr/bin:/bin', STOCKMESH_REDIS_SERVER: server };
  }
  function spawnSetup(args: readonly string[]): ChildProcessByStdio<null, Readable, null> {
    return spawn(process.execPath, [join(machine, 'scripts/setup.mjs'), ...args], {
      cwd: machine,
      env: okEnvironment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }

  test('an unknown job is a usage error', () => {
    expect(runSetup({ PATH: '/usr/bin:/bin' }, ['deploy']).status).toBe(exitCodes.usage);
  });
});
