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
import { beginArchive } from '../ledger/log-retention.ts';
import { MirrorTail } from '../ledger/mirror-tail.ts';
import { formatPosition } from '../ledger/position.ts';
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

/**
 * Where the archive's folder is lost for good: a new one begins at what the log still holds, so that the log is trimmed
 * again. The history before is then gone: it can be verified from there on, and not be rebuilt.
 */
export async function beginNewArchive(
  config: Config,
): Promise<{ readonly kind: 'begun' | 'not-needed'; readonly lostTo?: string }> {
  const lostTo = await withRedis(config, (redis, archive) =>
    beginArchive(redis, ledgerKeys(config.merchant), archive),
  );
  return lostTo === undefined ? { kind: 'not-needed' } : { kind: 'begun', lostTo: formatPosition(lostTo) };
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
