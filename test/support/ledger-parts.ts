import { parseMerchantId, type MerchantId } from '../../src/domain/ids.ts';
import { type LedgerKeys, ledgerKeys } from '../../src/ledger/keys.ts';
import { SeenPosition } from '../../src/ledger/position.ts';
import { ScriptCaller, type ScriptCallerOptions } from '../../src/ledger/script-caller.ts';
import { readScripts } from '../../src/ledger/script-loader.ts';
import { ServerClock } from '../../src/ledger/server-clock.ts';
import type { Redis } from 'ioredis';
import { steppedClock } from './ledger-clock.ts';
import { connectTestRedis } from './redis-connections.ts';
import { uniqueMerchant } from './redis.ts';

export const steppedScripts = readScripts(steppedClock);

export interface LedgerParts {
  readonly merchant: MerchantId;
  readonly redis: Redis;
  readonly keys: LedgerKeys;
  readonly seen: SeenPosition;
  readonly clock: ServerClock;
  readonly caller: ScriptCaller;
  /** Steps the clock of every script of this merchant. */
  stepClock(byMs: number): Promise<void>;
  close(): Promise<void>;
}

export function merchantId(text: string = uniqueMerchant()): MerchantId {
  const parsed = parseMerchantId(text);
  if (parsed.kind !== 'ok') throw new Error(parsed.reason);
  return parsed.value;
}

/** A machine that does much else may take seconds to answer; what a deadline does is tested where one is set. */
const patience = { deadlineMs: 20_000, attemptMs: 5_000 } as const;

/** A caller on a merchant of its own. The caller of this function closes it. */
export function ledgerParts(
  options: { merchant?: MerchantId; path?: string; seen?: SeenPosition } & Partial<
    Pick<ScriptCallerOptions, 'source' | 'deadlineMs' | 'attemptMs' | 'maxInFlight'>
  > = {},
): LedgerParts {
  const { merchant = merchantId(), path, seen = new SeenPosition(), ...more } = options;
  const redis = path === undefined ? connectTestRedis() : connectTestRedis(path);
  const keys = ledgerKeys(merchant);
  const clock = new ServerClock();
  const caller = new ScriptCaller({
    redis,
    keys,
    source: steppedScripts,
    seen,
    clock,
    actor: 'test',
    ...patience,
    ...more,
  });
  return {
    merchant,
    redis,
    keys,
    seen,
    clock,
    caller,
    async stepClock(byMs) {
      await redis.incrby(`${keys.prefix}test-clock`, byMs);
    },
    async close() {
      redis.disconnect();
    },
  };
}
