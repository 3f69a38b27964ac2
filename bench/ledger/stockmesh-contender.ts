import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { LocationId, MerchantId, Sku } from '../../src/domain/ids.ts';
import { HoldCommands } from '../../src/ledger/hold-commands.ts';
import { type LedgerKeys, ledgerKeys } from '../../src/ledger/keys.ts';
import { SeenPosition } from '../../src/ledger/position.ts';
import { ScriptCaller } from '../../src/ledger/script-caller.ts';
import { readScripts } from '../../src/ledger/script-loader.ts';
import { ServerClock } from '../../src/ledger/server-clock.ts';
import { CountCommands } from '../../src/ledger/count-commands.ts';
import type { Attempt } from '../support/closed-loop.ts';
import type { Contender } from './contender.ts';
import { evalshaMicros } from './redis-contenders.ts';

export const benchLocation = 'main' as LocationId;

export interface BenchLedger {
  readonly redis: Redis;
  readonly keys: LedgerKeys;
  readonly caller: ScriptCaller;
  readonly holds: HoldCommands;
  readonly counts: CountCommands;
  close(): Promise<void>;
}

/** The ledger as the daemon composes it, on a merchant of its own. */
export function openBenchLedger(path: string, merchant: string): BenchLedger {
  const redis = new Redis({ path });
  const keys = ledgerKeys(merchant as MerchantId);
  const caller = new ScriptCaller({
    redis,
    keys,
    source: readScripts(),
    seen: new SeenPosition(),
    clock: new ServerClock(),
    actor: 'bench',
    deadlineMs: 30_000,
    attemptMs: 10_000,
  });
  return {
    redis,
    keys,
    caller,
    holds: new HoldCommands(caller),
    counts: new CountCommands(caller),
    async close() {
      await redis.quit();
    },
  };
}

/** Our whole reserve: idempotency, sweep of due holds, deadline, hold record, sequence, log entry, epoch fence. */
export async function stockmeshContender(path: string): Promise<Contender> {
  let merchant = 0;
  let ledger = openBenchLedger(path, 'bench-0');
  await ledger.caller.open();
  let filled = 0;
  return {
    name: 'stockmesh reserve',
    async fill(skus, units) {
      await ledger.close();
      merchant += 1;
      ledger = openBenchLedger(path, `bench-${merchant}`);
      await ledger.caller.open();
      filled = units;
      for (let from = 0; from < skus; from += 500) {
        const count = Math.min(500, skus - from);
        await Promise.all(
          Array.from({ length: count }, (_, i) =>
            ledger.counts.adjust({
              operationId: `fill-${from + i}`,
              movement: 'received',
              sku: `sku-${from + i}` as Sku,
              location: benchLocation,
              units,
              reference: 'fill',
              reason: '',
              actor: 'bench',
            }),
          ),
        );
      }
    },
    async take(sku): Promise<Attempt> {
      const result = await ledger.holds.reserve({
        holdId: randomUUID(),
        lines: [{ sku: `sku-${sku}` as Sku, units: 1, locations: [benchLocation] }],
        ttlMs: 300_000,
        actor: 'bench',
      });
      return result.kind === 'held' ? 'ok' : 'refused';
    },
    async taken(sku) {
      const levels = await ledger.redis.hmget(
        ledger.keys.sku(`sku-${sku}` as Sku),
        `o:${benchLocation}`,
        `r:${benchLocation}`,
      );
      return filled - Number(levels[0]) + Number(levels[1] ?? 0);
    },
    serverMicros: () => evalshaMicros(ledger.redis),
    close: () => ledger.close(),
  };
}
