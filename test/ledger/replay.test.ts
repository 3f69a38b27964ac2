import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { readLog } from '../../src/ledger/log-range.ts';
import { LedgerReplay } from '../../src/ledger/replay/ledger-replay.ts';
import { comparableState, replayedState } from '../../src/ledger/replay/replayed-state.ts';
import { dumpState } from '../../src/ledger/state-dump.ts';
import { frozenLedgerParts } from '../support/frozen-ledger.ts';
import type { LedgerParts } from '../support/ledger-parts.ts';
import { orderBench } from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { anyCommand, runCommands } from './model/any-command.ts';
import { Schedule } from './model/schedule.ts';

failOnLeakedConnections();

async function replayOf(parts: LedgerParts): Promise<LedgerReplay> {
  const replay = new LedgerReplay({ holdsMs: 86_400_000, operationsMs: 86_400_000 });
  for await (const movements of readLog(parts.redis, parts.keys))
    for (const one of movements) replay.add(one);
  return replay;
}

async function expectSame(parts: LedgerParts): Promise<void> {
  const replay = await replayOf(parts);
  expect(replay.fold.findings).toEqual([]);
  const live = comparableState(await dumpState(parts.redis, parts.keys));
  expect(comparableState(replayedState(replay))).toEqual(live);
}

test('the log alone tells every figure, hold, line, credit and listing that any commands left behind', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyCommand, { minLength: 25, maxLength: 60 }), async (steps) => {
      const bench = orderBench();
      try {
        await runCommands(bench, steps);
        await expectSame(bench);
      } finally {
        await bench.close();
      }
    }),
    { numRuns: 150 },
  );
});

test.each([1, 4_711, Math.floor(Math.random() * 2 ** 31)])(
  'and after a long schedule: LEDGER_SEED=%i',
  async (seed) => {
    const parts = frozenLedgerParts();
    try {
      const schedule = new Schedule(parts, seed);
      for (let n = 0; n < 400; n += 1) await schedule.step();
      await expectSame(parts);
    } finally {
      await parts.close();
    }
  },
);
