import { join } from 'node:path';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { Config } from '../config/configuration.ts';
import { LedgerArchive } from '../ledger/archive.ts';
import { lockDataDir } from '../ledger/data-dir-lock.ts';
import { ledgerKeys } from '../ledger/keys.ts';
import { MirrorTail } from '../ledger/mirror-tail.ts';
import { rebuildLedger, type RebuildResult } from '../ledger/rebuild.ts';
import { RedisMetrics } from '../telemetry/metrics.ts';
import { openRedis } from './redis-part.ts';

/**
 * Disaster recovery, with the daemon stopped: the ledger from this data directory's archive and mirror into a Redis that
 * holds none. The lock of the directory keeps a running daemon from finding a half-written one.
 */
export async function rebuild(config: Config, acceptFindings: boolean): Promise<RebuildResult> {
  const lock = await lockDataDir(config.dataDir);
  try {
    const log = pino({ level: 'warn' }, process.stderr);
    const redis = await openRedis(config, log, new RedisMetrics(new Registry()), (error) => {
      throw error;
    });
    try {
      return await rebuildLedger({
        target: { redis: redis.commands, keys: ledgerKeys(config.merchant) },
        archive: new LedgerArchive(join(config.dataDir, 'archive')),
        tail: new MirrorTail(join(config.dataDir, 'mirror')),
        acceptFindings,
      });
    } finally {
      await redis.close();
    }
  } finally {
    lock.release();
  }
}
