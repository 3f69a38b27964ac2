import { afterEach, describe, expect, test } from 'vitest';
import { checkLedger } from '../../src/ledger/check-state.ts';
import { LedgerFold } from '../../src/ledger/fold.ts';
import { readLog } from '../../src/ledger/log-range.ts';
import { dumpState } from '../../src/ledger/state-dump.ts';
import { frozenLedgerParts } from '../support/frozen-ledger.ts';
import { type PrivateRedis, startPrivateRedis } from '../support/redis.ts';
import { Random } from './model/random.ts';
import { Schedule } from './model/schedule.ts';

/** `LEDGER_SEED=n LEDGER_STEPS=m vitest run test/ledger/model.test.ts` replays one schedule. */
const replaySeed = process.env['LEDGER_SEED'];
const steps = Number(process.env['LEDGER_STEPS'] ?? 400);
const fresh = Math.floor(Math.random() * 2 ** 31);
const seeds = replaySeed === undefined ? [1, 2, fresh] : [Number(replaySeed)];

let redis: PrivateRedis | undefined;
afterEach(async () => {
  await redis?.stop();
  redis = undefined;
});

describe('every command, duplicated, reordered, with clock steps and kill -9 of redis', () => {
  test.each(seeds)('agrees with the plain model: LEDGER_SEED=%i', async (seed) => {
    console.log(`ledger model: LEDGER_SEED=${seed} LEDGER_STEPS=${steps}`);
    redis = await startPrivateRedis({ appendfsync: 'always' });
    const parts = frozenLedgerParts({ path: redis.path, deadlineMs: 15_000 });
    const schedule = new Schedule(parts, seed);
    const kills = new Random(seed ^ 0x5eed);
    const done: string[] = [];
    try {
      for (let n = 0; n < steps; n += 1) {
        done.push(await schedule.step());
        if (kills.chance(0.008)) {
          await redis.kill('SIGKILL');
          await redis.restart();
          done.push('kill -9 redis');
        }
        if (n % 25 === 24) await schedule.compare();
      }
      await schedule.compare();
      const fold = new LedgerFold();
      for await (const movements of readLog(parts.redis, parts.keys))
        for (const movement of movements) fold.add(movement);
      expect(checkLedger(fold, await dumpState(parts.redis, parts.keys))).toEqual([]);
      expect(fold.entries).toBeGreaterThan(steps / 4);
    } catch (error) {
      console.error(`LEDGER_SEED=${seed}, last steps:\n${done.slice(-15).join('\n')}`);
      throw error;
    } finally {
      await parts.close();
    }
  });
});
