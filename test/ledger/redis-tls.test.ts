import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { checkRedis } from '../../src/ledger/redis-checks.ts';
import { connectRedis, type RedisTls, waitUntilReady } from '../../src/ledger/redis-connection.ts';
import { eventually } from '../support/eventually.ts';
import { startPrivateRedisOnPort } from '../support/redis-on-port.ts';
import type { PrivateRedis } from '../support/redis.ts';

const fixtures = join(import.meta.dirname, '../fixtures/tls');
const certificate = new Secret(readFileSync(join(fixtures, 'cert.pem'), 'utf8'));

let server: PrivateRedis;
let port: number;

beforeAll(async () => {
  const files = ['--tls-cert-file', join(fixtures, 'cert.pem'), '--tls-key-file', join(fixtures, 'key.pem')];
  ({ server, port } = await startPrivateRedisOnPort((free) => ({
    extraArgs: ['--tls-port', String(free), ...files, '--tls-auth-clients', 'no'],
  })));
});
afterAll(() => server.stop());

function connect(scheme: 'redis' | 'rediss', tls: RedisTls | undefined): ReturnType<typeof connectRedis> {
  const target = { kind: 'url', url: `${scheme}://127.0.0.1:${port}`, tls } as const;
  return connectRedis(target, { kind: 'commands', name: 'stockmesh:test:commands' });
}

test.each([
  ['a certificate nobody vouches for', undefined],
  ['a certificate for another name', { caFile: certificate, serverName: 'other.test' }],
])('refuses %s, and does not fall back to plain text', async (_name, tls) => {
  const connection = connect('rediss', tls);
  // A wait that the machine slept through heard of no refusal; the client goes on trying, so another one will.
  await eventually(() =>
    expect(waitUntilReady(connection, 'rediss', 500)).rejects.toMatchObject({
      code: 'REDIS_UNAVAILABLE',
      message: expect.stringMatching(/certificate|altnames/i) as string,
    }),
  );
  connection.disconnect();
});

test('plain text to a TLS port never becomes ready', async () => {
  const connection = connect('redis', undefined);
  await expect(waitUntilReady(connection, 'redis', 300)).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
  connection.disconnect();
});

test('works with the authority and the name it was told', async () => {
  const connection = connect('rediss', { caFile: certificate, serverName: 'redis.test' });
  await waitUntilReady(connection, 'rediss', 5_000);
  expect(await checkRedis(connection, 'always')).toMatchObject({ readFrom: 'config' });
  await connection.quit();
});
