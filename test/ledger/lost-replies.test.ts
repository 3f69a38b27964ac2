import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { RedisLedger } from '../../src/ledger/redis-ledger.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { location, receive, sku, storedLevel } from '../support/stock.ts';

failOnLeakedConnections();

let proxy: FaultProxy;
let parts: LedgerParts;
let ledger: RedisLedger;
beforeEach(async () => {
  proxy = await startFaultProxy(inject('redisPath'));
  // Patient: a caller that gives up an attempt sends a copy of it, or drops the connection itself. An answer to a copy, or
  // the greeting of the next connection, would be what is cut then, instead of the answer to the command under test.
  parts = ledgerParts({ path: proxy.path });
  ledger = new RedisLedger(parts.caller, parts.clock);
  await receive(parts, 'a', 100);
});
afterEach(async () => {
  await parts.close();
  await proxy.close();
});

const lines = [{ sku: sku('a'), units: 1, locations: [location('main')] }];

/** A second caller on the same ledger, open, that soon takes silence for a dead connection. */
async function openImpatient(limits: {
  deadlineMs?: number;
}): Promise<{ readonly parts: LedgerParts; readonly ledger: RedisLedger }> {
  const own = ledgerParts({ path: proxy.path, merchant: parts.merchant, attemptMs: 200, ...limits });
  await own.caller.open();
  return { parts: own, ledger: new RedisLedger(own.caller, own.clock) };
}

test('a server that cannot be reached: the outcome is unknown, in time, and the repeat finds out', async () => {
  const brief = await openImpatient({ deadlineMs: 1_000 });
  proxy.refuse();
  const asked = performance.now();
  const call = brief.ledger.reserve({ holdId: 'h', lines, ttlMs: 60_000, actor: 't' });
  await expect(call).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE', retryable: true });
  // The client itself would wait for the server without end.
  expect(performance.now() - asked).toBeLessThan(15_000);
  proxy.restore();
  // The client may have sent the call again by itself meanwhile: either answer is the same hold.
  expect(await ledger.reserve({ holdId: 'h', lines, ttlMs: 60_000, actor: 't' })).toMatchObject({
    kind: 'held',
  });
  expect(await storedLevel(parts, 'a')).toMatchObject({ reserved: 1 });
  await brief.parts.close();
});

test('a half-open connection is dropped and the call answered on a new one', async () => {
  const impatient = await openImpatient({});
  proxy.freeze();
  expect(await impatient.ledger.reserve({ holdId: 'h', lines, ttlMs: 60_000, actor: 't' })).toMatchObject({
    kind: 'held',
  });
  expect(await storedLevel(impatient.parts, 'a')).toMatchObject({ reserved: 1 });
  await impatient.parts.close();
});

describe.each([0, 1, 7, 40])('with the reply cut after %i bytes, each command is applied once:', (bytes) => {
  test('reserve, commit, release', async () => {
    proxy.cutRepliesAfter(bytes);
    const held = await ledger.reserve({ holdId: 'h1', lines, ttlMs: 60_000, actor: 't' });
    expect(held).toMatchObject({ kind: 'held', repeated: true });
    await ledger.reserve({ holdId: 'h2', lines, ttlMs: 60_000, actor: 't' });
    proxy.cutRepliesAfter(bytes);
    expect(await ledger.commit({ holdId: 'h1', actor: 't' })).toMatchObject({
      kind: 'committed',
      repeated: true,
    });
    proxy.cutRepliesAfter(bytes);
    expect(await ledger.release({ holdId: 'h2', actor: 't' })).toMatchObject({
      kind: 'released',
      repeated: true,
    });
    expect(await storedLevel(parts, 'a')).toEqual({ onHand: 100, committed: 1, reserved: 0 });
  });

  test('extend and adjust', async () => {
    await ledger.reserve({ holdId: 'h', lines, ttlMs: 60_000, actor: 't' });
    proxy.cutRepliesAfter(bytes);
    const extension = { holdId: 'h', ttlMs: 90_000, operationId: 'e1', maxExtensions: 1 };
    expect(await ledger.extend(extension)).toMatchObject({ kind: 'extended', repeated: true });
    proxy.cutRepliesAfter(bytes);
    const adjusted = await ledger.adjust({
      operationId: 'x',
      movement: 'adjusted',
      sku: sku('a'),
      location: location('main'),
      units: -3,
      reference: 'r',
      reason: '',
      actor: 't',
    });
    expect(adjusted).toMatchObject({ kind: 'adjusted', repeated: true });
    expect(await storedLevel(parts, 'a')).toMatchObject({ onHand: 97 });
  });
});

test('sixty-four reserves in one batch whose reply is lost hold sixty-four units', async () => {
  await ledger.reserve({ holdId: 'warm', lines, ttlMs: 60_000, actor: 't' });
  proxy.cutRepliesAfter(100);
  const answers = await Promise.all(
    Array.from({ length: 64 }, (_, i) =>
      ledger.reserve({ holdId: `h${i}`, lines, ttlMs: 60_000, actor: 't' }),
    ),
  );
  expect(answers.every((answer) => answer.kind === 'held')).toBe(true);
  expect(await storedLevel(parts, 'a')).toMatchObject({ reserved: 65 });
});
