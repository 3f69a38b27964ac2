import { execFile } from 'node:child_process';
import { copyFile, chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DaemonUnderTest } from './daemon.ts';

const cli = new URL('../../src/cli.ts', import.meta.url).pathname;
let daemon: DaemonUnderTest;

beforeAll(async () => {
  daemon = await DaemonUnderTest.make({ shops: [] });
  for (const name of ['cert', 'key']) {
    const to = join(daemon.dir, `${name}.pem`);
    await copyFile(new URL(`../fixtures/tls/loopback-${name}.pem`, import.meta.url), to);
    await chmod(to, 0o600);
  }
  await daemon.changeConfig((config) => {
    const { private: listener } = config['http'] as { private: Record<string, unknown> };
    listener['tls'] = {
      certFile: join(daemon.dir, 'cert.pem'),
      keyFile: join(daemon.dir, 'key.pem'),
    };
  });
  daemon.start();
}, 120_000);
afterAll(() => daemon.remove());

function run(...args: readonly string[]): Promise<{ code: number; out: string; error: string }> {
  const whole = [cli, ...args, '--config', daemon.configPath];
  return new Promise((resolve) => {
    execFile(process.execPath, whole, (failure, out, error) => {
      resolve({ code: failure === null ? 0 : Number(failure.code), out, error });
    });
  });
}

test('the commands reach the daemon over TLS by its own certificate, with and without API keys', async () => {
  await daemon.until(async () => (await run('channels')).code === 0, 'reached over TLS', 120_000);
  const made = await run('keys', 'create', 'storefront', '--class', 'checkout');
  expect(made).toMatchObject({ code: 0 });
  expect(made.out).toMatch(/smk_[a-z2-9]{10}_/);
  // From the first key on everybody needs credentials: the commands send the operator's.
  expect((await run('keys')).out).toContain('storefront');
  const plain = await fetch(`${daemon.privateUrl}/healthz`).catch(() => 'no HTTP here');
  expect(plain === 'no HTTP here' || !(plain as Response).ok).toBe(true);
}, 180_000);
