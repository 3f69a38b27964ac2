import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { Config } from '../config/configuration.ts';
import type { MerchantId } from '../domain/ids.ts';
import { LedgerArchive } from '../ledger/archive.ts';
import { lockDataDir } from '../ledger/data-dir-lock.ts';
import { type LogTail, RedisLogTail } from '../ledger/full-history.ts';
import { ledgerKeys } from '../ledger/keys.ts';
import { MirrorTail } from '../ledger/mirror-tail.ts';
import { checkRebuild, type RebuildCheck, rebuildLedger, type RebuildResult } from '../ledger/rebuild.ts';
import { RedisMetrics } from '../telemetry/metrics.ts';
import { openRedis } from './redis-part.ts';

/**
 * Disaster recovery, with the daemon stopped: the ledger from this data directory's archive and the open end of its log
 * (that of the Redis where it is still there, else the mirror) into a place that holds none. `into`: under another
 * merchant of the same Redis, to look at it beside the live one.
 */
export async function rebuild(
  config: Config,
  acceptFindings: boolean,
  into: MerchantId = config.merchant,
): Promise<RebuildResult> {
  return withRedis(config, async (redis, archive) => {
    const source = ledgerKeys(config.merchant);
    const hasLog = into !== config.merchant && (await redis.exists(source.log)) === 1;
    const tail: LogTail = hasLog
      ? new RedisLogTail(redis, source)
      : new MirrorTail(join(config.dataDir, 'mirror'));
    return rebuildLedger({ target: { redis, keys: ledgerKeys(into) }, archive, tail, acceptFindings });
  });
}

/** Rebuilds in memory and compares every record with the ledger, with the daemon stopped. */
export async function checkRebuilt(config: Config): Promise<RebuildCheck> {
  return withRedis(config, (redis, archive) =>
    checkRebuild({ redis, keys: ledgerKeys(config.merchant), archive }),
  );
}

/** The lock of the directory keeps a running daemon from finding a half-written ledger. */
async function withRedis<T>(
  config: Config,
  run: (redis: Redis, archive: LedgerArchive) => Promise<T>,
): Promise<T> {
  const lock = await lockDataDir(config.dataDir);
  try {
    const log = pino({ level: 'warn' }, process.stderr);
    const redis = await openRedis(config, log, new RedisMetrics(new Registry()), (error) => {
      throw error;
    });
    try {
      return await run(redis.commands, new LedgerArchive(join(config.dataDir, 'archive')));
    } finally {
      await redis.close();
    }
  } finally {
    lock.release();
  }
}
