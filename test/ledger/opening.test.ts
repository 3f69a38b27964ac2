import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { LostRange, OpenResult } from '../../src/ledger/opening.ts';
import { SeenPosition } from '../../src/ledger/position.ts';
import { RedisLedger } from '../../src/ledger/redis-ledger.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { startPrivateRedis } from '../support/redis.ts';
import { location, receive, sku, storedLevel } from '../support/stock.ts';

failOnLeakedConnections();

function openings(parts: LedgerParts): readonly OpenResult[] {
  const seen: OpenResult[] = [];
  parts.caller.onOpened((result) => seen.push(result));
  return seen;
}

/** Puts the merchant's data back to an earlier copy, inside the same server. */
async function snapshot(parts: LedgerParts): Promise<() => Promise<void>> {
  const keys = await parts.redis.keys(`${parts.keys.prefix}*`);
  const dumps = await Promise.all(keys.map((key) => parts.redis.dumpBuffer(key)));
  return async () => {
    await parts.redis.del(...(await parts.redis.keys(`${parts.keys.prefix}*`)));
    for (const [index, key] of keys.entries()) {
      await parts.redis.restore(key, 0, dumps[index] as Buffer);
    }
  };
}

/** A halted daemon looks again every quarter of a second. */
async function untilReceived(parts: LedgerParts, of: string, units: number): Promise<void> {
  const receiveOnce = (): Promise<boolean> =>
    receive(parts, of, units).then(
      () => true,
      () => false,
    );
  await expect.poll(receiveOnce, { timeout: 5_000 }).toBe(true);
}

describe('halts', () => {
  test('on a server that came back without an entry between an opening and the loading of its scripts', async () => {
    const server = await startPrivateRedis({ appendfsync: 'always' });
    const two = ledgerParts({ path: server.path });
    await receive(two, 'a', 5);
    const { epoch } = two.seen.get();
    const one = ledgerParts({ path: server.path, merchant: two.merchant });
    const files = join(server.dir, 'appendonlydir');
    const evaluate = one.redis.eval.bind(one.redis) as (...args: unknown[]) => Promise<unknown>;
    let opened = 0;
    Object.assign(one.redis, {
      async eval(...args: unknown[]) {
        const reply = await evaluate(...args);
        if (++opened > 1) return reply;
        await cp(files, `${files}.old`, { recursive: true });
        await receive(two, 'a', 100);
        await server.kill('SIGKILL');
        await rm(files, { recursive: true });
        await rename(`${files}.old`, files);
        await server.restart();
        // What is loaded from here on is for the life that has ended.
        return reply;
      },
    });
    const told = openings(one);
    await one.caller.open();
    expect(told.at(-1)).toMatchObject({ kind: 'open', isNewEpoch: true });
    await receive(one, 'b', 1);
    expect(one.seen.get().epoch).toBeGreaterThan(epoch);
    await receive(one, 'b', 1);
    await expect(receive(two, 'a', 1)).rejects.toMatchObject({ code: 'LEDGER_HALTED' });
    await one.close();
    await two.close();
    await server.stop();
  });

  test('on empty data when entries were seen, for every daemon, until the loss is confirmed', async () => {
    const one = ledgerParts();
    await receive(one, 'a', 5);
    const { epoch, seq } = one.seen.get();
    await one.redis.del(...(await one.redis.keys(`${one.keys.prefix}*`)));
    await expect(receive(one, 'a', 1)).rejects.toMatchObject({ code: 'LEDGER_HALTED' });
    const fresh = ledgerParts({ merchant: one.merchant });
    await expect(receive(fresh, 'a', 1)).rejects.toMatchObject({ code: 'LEDGER_HALTED' });

    const told = openings(one);
    const lost: LostRange | undefined = await one.caller.confirmLoss('operator');
    expect(lost).toEqual({ epoch, from: 1, to: seq });
    expect(told.at(-1)).toMatchObject({ kind: 'open', isNewEpoch: true, lost });
    await receive(one, 'a', 3);
    await untilReceived(fresh, 'a', 3);
    expect(await storedLevel(one, 'a')).toMatchObject({ onHand: 6 });
    await one.close();
    await fresh.close();
  });

  test('on a restore inside the same server, where scripts and epoch are the same', async () => {
    const one = ledgerParts();
    await receive(one, 'a', 5);
    const restore = await snapshot(one);
    await receive(one, 'a', 5);
    await receive(one, 'a', 5);
    const { epoch, seq } = one.seen.get();
    await restore();
    const told = openings(one);
    await expect(receive(one, 'a', 1)).rejects.toThrow(`entries ${seq - 1} to ${seq} of epoch ${epoch}`);
    expect(told).toEqual([
      { kind: 'halted', reason: expect.any(String), lost: { epoch, from: seq - 1, to: seq } },
    ]);
    expect(await storedLevel(one, 'a')).toMatchObject({ onHand: 5 });
    await one.caller.confirmLoss('operator');
    await receive(one, 'a', 1);
    const entries = await one.redis.xrange(one.keys.log, '-', '+');
    expect(entries.map(([id]) => Number(id.split('-')[1]))).toEqual(
      entries.map((_entry, index) => index + 1),
    );
    await one.close();
  });

  test('when a daemon that saw more comes after another has opened and gone on', async () => {
    const one = ledgerParts();
    await receive(one, 'a', 5);
    const restore = await snapshot(one);
    await receive(one, 'a', 5);
    const { epoch, seq } = one.seen.get();
    await restore();
    // A failover: another server, seen first by a daemon that knows nothing.
    await one.redis.hset(one.keys.ledger, 'runId', 'another');
    const fresh = ledgerParts({ merchant: one.merchant });
    await receive(fresh, 'b', 1);
    await receive(fresh, 'b', 1);
    await expect(receive(one, 'a', 1)).rejects.toThrow(`entries ${seq} to ${seq} of epoch ${epoch}`);
    await expect(receive(fresh, 'b', 1)).rejects.toMatchObject({ code: 'LEDGER_HALTED' });
    await one.caller.confirmLoss('operator');
    await untilReceived(fresh, 'b', 1);
    await one.close();
    await fresh.close();
  });

  test('a second daemon that saw the same loss is told of it and goes on', async () => {
    const one = ledgerParts();
    await receive(one, 'a', 5);
    const restore = await snapshot(one);
    await receive(one, 'a', 5);
    const { epoch, seq } = one.seen.get();
    const two = ledgerParts({ merchant: one.merchant, seen: new SeenPosition({ epoch, seq }) });
    await restore();
    await one.caller.confirmLoss('operator');
    const told = openings(two);
    await receive(two, 'a', 1);
    expect(told.at(-1)).toMatchObject({
      kind: 'open',
      isNewEpoch: false,
      lost: { epoch, from: seq, to: seq },
    });
    await one.close();
    await two.close();
  });

  test('on half a restore, whatever an operator confirms', async () => {
    const one = ledgerParts();
    await receive(one, 'a', 5);
    await one.redis.hset(one.keys.ledger, 'seq', '1');
    await expect(receive(one, 'a', 1)).rejects.toMatchObject({ code: 'LEDGER_HALTED' });
    await expect(one.caller.confirmLoss('operator')).rejects.toThrow('do not belong together');
    await one.close();
  });
});

describe('goes on', () => {
  test('after kill -9 and after a plain restart: a new epoch, nothing lost, no halt', async () => {
    const server = await startPrivateRedis({ appendfsync: 'always' });
    const one = ledgerParts({ path: server.path, deadlineMs: 10_000 });
    await receive(one, 'a', 5);
    const told = openings(one);
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const { epoch, seq } = one.seen.get();
      await server.kill(signal);
      await server.restart();
      await receive(one, 'a', 1);
      expect(told.at(-1)).toMatchObject({ kind: 'open', isNewEpoch: true, lost: undefined });
      expect(one.seen.get().epoch).toBeGreaterThan(epoch);
      expect(one.seen.get().seq).toBe(seq + 2);
    }
    expect(await storedLevel(one, 'a')).toMatchObject({ onHand: 7 });
    await one.close();
    await server.stop();
  });

  test('under a load of reserves through kill -9: every hold acknowledged is there, none twice', async () => {
    const server = await startPrivateRedis({ appendfsync: 'always' });
    const one = ledgerParts({ path: server.path, deadlineMs: 10_000 });
    const ledger = new RedisLedger(one.caller, one.clock);
    await receive(one, 'a', 100_000);
    const running = new AbortController();
    let held = 0;
    const lines = [{ sku: sku('a'), units: 1, locations: [location('main')] }];
    const workers = Array.from({ length: 16 }, async (_, worker) => {
      for (let i = 0; !running.signal.aborted; i++) {
        const result = await ledger.reserve({ holdId: `${worker}-${i}`, lines, ttlMs: 60_000, actor: 't' });
        if (result.kind === 'held') held++;
      }
    });
    for (let round = 0; round < 3; round++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await server.kill('SIGKILL');
      await server.restart();
    }
    running.abort();
    await Promise.all(workers);
    expect(held).toBeGreaterThan(0);
    expect(await storedLevel(one, 'a')).toMatchObject({ reserved: held });
    expect(await one.redis.hlen(one.keys.holds)).toBe(held);
    expect(await one.redis.xlen(one.keys.log)).toBe(one.seen.get().seq);
    await one.close();
    await server.stop();
  });
});
