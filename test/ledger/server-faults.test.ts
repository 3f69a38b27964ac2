import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { connectTestRedis, failOnLeakedConnections } from '../support/redis-connections.ts';
import { type PrivateRedis, startPrivateRedis } from '../support/redis.ts';
import { receive, storedLevel } from '../support/stock.ts';

failOnLeakedConnections();

let server: PrivateRedis;
let parts: LedgerParts;
beforeAll(async () => {
  server = await startPrivateRedis({ appendonly: false });
});
afterAll(() => server.stop());
beforeEach(async () => {
  parts = ledgerParts({ path: server.path, deadlineMs: 5_000, attemptMs: 2_500 });
  await receive(parts, 'a', 1);
});
afterEach(() => parts.close());

/** On a busy machine the last attempt may get no answer in time: the outcome is then called unknown. */
async function expectRefused(codes: readonly string[]): Promise<void> {
  await expect(receive(parts, 'a', 1)).rejects.toMatchObject({
    code: expect.stringMatching(codes.join('|')),
  });
  expect(await storedLevel(parts, 'a')).toMatchObject({ onHand: 1 });
}

test('a replica applies nothing, and the call works again once it is the primary', async () => {
  const admin = connectTestRedis(server.path);
  await admin.call('REPLICAOF', '127.0.0.1', '1');
  try {
    await expectRefused(['LEDGER_UNAVAILABLE', 'LEDGER_UNREACHABLE']);
  } finally {
    await admin.call('REPLICAOF', 'NO', 'ONE');
    await admin.quit();
  }
  await receive(parts, 'a', 2);
  expect(await storedLevel(parts, 'a')).toMatchObject({ onHand: 3 });
});

test('too few replicas: nothing is applied', async () => {
  await parts.redis.config('SET', 'min-replicas-to-write', '1');
  try {
    await expectRefused(['LEDGER_UNAVAILABLE', 'LEDGER_UNREACHABLE']);
  } finally {
    await parts.redis.config('SET', 'min-replicas-to-write', '0');
  }
});

test('a user who may not run scripts', async () => {
  const admin = connectTestRedis(server.path);
  await admin.call('ACL', 'SETUSER', 'default', '-evalsha');
  try {
    await expectRefused(['REDIS_ACCESS_DENIED']);
  } finally {
    await admin.call('ACL', 'SETUSER', 'default', '+evalsha');
    await admin.quit();
  }
});

test('a server busy with a long script: the call waits within its deadline and is then applied once', async () => {
  await parts.redis.config('SET', 'busy-reply-threshold', '20');
  const other = connectTestRedis(server.path);
  const admin = connectTestRedis(server.path);
  // A connection made while the script runs would be refused itself.
  await Promise.all([other.ping(), admin.ping()]);
  const long = other.eval('while true do end', 0).catch(() => undefined);
  await delay(100);
  const call = receive(parts, 'a', 2);
  await delay(100);
  await admin.script('KILL');
  await call;
  await long;
  expect(await storedLevel(parts, 'a')).toMatchObject({ onHand: 3 });
  await other.quit();
  await admin.quit();
});

test('a server that stands still for a moment answers the same call once', async () => {
  const patient = ledgerParts({
    path: server.path,
    merchant: parts.merchant,
    deadlineMs: 15_000,
    attemptMs: 200,
  });
  await patient.caller.open();
  await server.kill('SIGSTOP');
  const call = receive(patient, 'a', 2);
  await delay(700);
  await server.kill('SIGCONT');
  await call;
  expect(await storedLevel(patient, 'a')).toMatchObject({ onHand: 3 });
  await patient.close();
});

test('more calls than may wait are refused at once and not sent', async () => {
  const narrow = ledgerParts({ path: server.path, merchant: parts.merchant, maxInFlight: 3 });
  await narrow.caller.open();
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => receive(narrow, 'a', 1)));
  const refused = results.filter((result) => result.status === 'rejected');
  expect(refused.map((result) => result.reason.code)).toEqual(['LEDGER_OVERLOADED', 'LEDGER_OVERLOADED']);
  expect(await storedLevel(parts, 'a')).toMatchObject({ onHand: 4 });
  await narrow.close();
});
