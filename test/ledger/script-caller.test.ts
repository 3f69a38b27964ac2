import { expect, test } from 'vitest';
import { SeenPosition } from '../../src/ledger/position.ts';
import { ledgerParts } from '../support/ledger-parts.ts';
import { startPrivateRedis } from '../support/redis.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

const sweepArgs = [100, 60_000, 60_000];

test('refuses to go on when the ledger is behind what was seen, and says what is lost', async () => {
  const one = ledgerParts();
  await one.caller.open();
  one.seen.observe({ epoch: one.seen.get().epoch, seq: 50 });
  await expect(one.caller.call('sweep', sweepArgs)).rejects.toMatchObject({ code: 'LEDGER_HALTED' });
  await expect(one.caller.call('sweep', sweepArgs)).rejects.toThrow('entries 2 to 50');
  await one.close();
});

test('opens at the first call and begins with an epoch entry', async () => {
  const one = ledgerParts();
  const reply = await one.caller.call('sweep', sweepArgs);
  expect(reply).toMatchObject({ outcome: 'swept', seq: 1 });
  const log = await one.redis.xrange(one.keys.log, '-', '+');
  expect(log).toHaveLength(1);
  expect(log[0]?.[0]).toBe(`${one.seen.get().epoch}-1`);
  await one.close();
});

test('SCRIPT FLUSH costs one reload, not an epoch', async () => {
  // On the shared server other tests would lose their scripts too.
  const server = await startPrivateRedis({ appendonly: false });
  const one = ledgerParts({ path: server.path });
  try {
    await one.caller.call('sweep', sweepArgs);
    const epoch = one.caller.epoch;
    await one.redis.script('FLUSH');
    expect((await one.caller.call('sweep', sweepArgs)).seq).toBe(1);
    expect(one.caller.epoch).toBe(epoch);
  } finally {
    await one.close();
    await server.stop();
  }
});

test('scripts of an old epoch are fenced even where the server still knows them', async () => {
  const one = ledgerParts();
  await one.caller.call('sweep', sweepArgs);
  const epoch = one.seen.get().epoch;
  // Another daemon's `open` after a failover: a new run id, nothing lost.
  await one.redis.hset(one.keys.ledger, 'runId', 'another');
  const two = ledgerParts({ merchant: one.merchant, seen: new SeenPosition({ epoch, seq: 1 }) });
  await two.caller.open();
  expect(two.caller.epoch).toBeGreaterThan(epoch);
  const reply = await one.caller.call('sweep', sweepArgs);
  expect(reply.seq).toBe(2);
  expect(one.caller.epoch).toBe(two.caller.epoch);
  await one.close();
  await two.close();
});

test('a script that meets foreign content fails and writes nothing', async () => {
  const one = ledgerParts();
  await one.caller.open();
  await one.redis.set(one.keys.due, 'not a set');
  await expect(one.caller.call('sweep', sweepArgs)).rejects.toMatchObject({ code: 'LEDGER_SCRIPT_FAILED' });
  await one.close();
});
