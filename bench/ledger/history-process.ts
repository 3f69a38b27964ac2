import { startPrivateRedis } from '../../test/support/redis.ts';
import { writeHistory } from './history.ts';
import { measureMemory, type MemoryFigures } from './memory.ts';
import { measureReplay, type ReplayFigures } from './replay.ts';
import { openBenchLedger } from './stockmesh-contender.ts';

/** What this process prints, as JSON: a reader starts with its daemon, so it is measured in a process of its own. */
export interface HistoryFigures {
  readonly replay: ReplayFigures;
  readonly memory: MemoryFigures;
}

async function measureHistory(): Promise<HistoryFigures> {
  const server = await startPrivateRedis({ appendonly: false });
  const ledger = openBenchLedger(server.path, 'bench-history');
  try {
    await ledger.caller.open();
    await writeHistory(ledger);
    return { replay: await measureReplay(ledger, server.path), memory: await measureMemory(ledger) };
  } finally {
    await ledger.close();
    await server.stop();
  }
}

process.stdout.write(`${JSON.stringify(await measureHistory())}\n`);
