import { once } from 'node:events';
import { Redis } from 'ioredis';
import { LogReader } from '../../src/ledger/log-reader.ts';
import { LedgerProjection } from '../../src/ledger/projection.ts';
import { median } from '../support/closed-loop.ts';
import type { BenchLedger } from './stockmesh-contender.ts';

export interface ReplayFigures {
  readonly entries: number;
  readonly entriesPerS: number;
}

/** The daemon's own reader and projection from an empty memory to the end of the log, a few times. */
export async function measureReplay(ledger: BenchLedger, path: string): Promise<ReplayFigures> {
  const { seq, epoch } = await endOf(ledger);
  const perS: number[] = [];
  for (let run = 0; run < 5; run += 1) {
    const redis = new Redis({ path });
    await once(redis, 'ready');
    const reader = new LogReader({ redis, keys: ledger.keys });
    const start = { epoch, seq: 0 };
    const projection = new LedgerProjection({
      load: async () => ({ position: start, skus: new Map(), taken: new Map() }),
    });
    await projection.start(reader);
    const startedMs = performance.now();
    const reached = new Promise<void>((resolve) => {
      projection.onChanged(() => {
        if (projection.position.seq >= seq) resolve();
      });
    });
    reader.start(start);
    await reached;
    perS.push(seq / ((performance.now() - startedMs) / 1_000));
    await reader.stop();
  }
  return { entries: seq, entriesPerS: median(perS) };
}

async function endOf({
  redis,
  keys,
}: BenchLedger): Promise<{ readonly epoch: number; readonly seq: number }> {
  const [epoch, seq] = await redis.hmget(keys.ledger, 'epoch', 'seq');
  return { epoch: Number(epoch), seq: Number(seq) };
}
