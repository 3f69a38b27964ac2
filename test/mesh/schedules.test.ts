import type { Redis } from 'ioredis';
import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RedisMeshState } from '../../src/ledger/mesh-state.ts';
import { Schedules, type Task } from '../../src/mesh/schedules.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { connectTestRedis, failOnLeakedConnections } from '../support/redis-connections.ts';
import { eventually } from '../support/eventually.ts';

failOnLeakedConnections();

let parts: LedgerParts;
let queues: Redis;
let opened: Schedules[];

beforeEach(() => {
  parts = ledgerParts();
  queues = connectTestRedis();
  opened = [];
});
afterEach(async () => {
  for (const schedules of opened) await schedules.close();
  queues.disconnect();
  await parts.close();
});

function open(tasks: readonly Task[], timeoutMs?: number): Schedules {
  const schedules = new Schedules({
    redis: queues,
    queuePrefix: `${parts.keys.prefix}bull`,
    mesh: new RedisMeshState(parts.caller),
    tasks,
    log: pino({ level: 'silent' }),
    timeoutMs,
  });
  schedules.start();
  opened.push(schedules);
  return schedules;
}

const hourMs = 3_600_000;

test('two daemons that tick in the same period run a task once; the next period runs it again', async () => {
  const ran: string[] = [];
  const task = (who: string): Task => ({
    name: 'check',
    everyMs: 48 * hourMs,
    run: async () => void ran.push(who),
  });
  const daemons = [open([task('one')]), open([task('two')])];
  const nowMs = Math.floor(Date.now() / (48 * hourMs)) * 48 * hourMs;
  for (const daemon of daemons) await daemon.tick(nowMs);
  await eventually(() => expect(ran).toHaveLength(1));
  for (const daemon of daemons) await daemon.tick(nowMs + 48 * hourMs);
  await eventually(() => expect(ran).toHaveLength(2));
  for (const daemon of daemons) await daemon.tick(nowMs);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(ran).toHaveLength(2);
});

test('a task that fails or hangs does not keep the others, nor its own next period', async () => {
  let failed = 0;
  let aborted = 0;
  let ran = 0;
  const daemon = open(
    [
      { name: 'fails', everyMs: 48 * hourMs, run: () => Promise.reject(new Error(`no ${failed++}`)) },
      {
        name: 'hangs',
        everyMs: 48 * hourMs,
        run: (signal) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              aborted++;
              reject(new Error('aborted'));
            });
          }),
      },
      { name: 'works', everyMs: 48 * hourMs, run: async () => void ran++ },
    ],
    100,
  );
  const nowMs = Math.floor(Date.now() / (48 * hourMs)) * 48 * hourMs;
  await daemon.tick(nowMs);
  await eventually(() => expect([failed, aborted, ran]).toEqual([1, 1, 1]));
  await daemon.tick(nowMs + 48 * hourMs);
  await eventually(() => expect([failed, aborted, ran]).toEqual([2, 2, 2]));
});

test('the clock itself ticks', async () => {
  let ran = 0;
  open([{ name: 'often', everyMs: 1_000, run: async () => void ran++ }]);
  await eventually(() => expect(ran).toBeGreaterThan(0));
});
