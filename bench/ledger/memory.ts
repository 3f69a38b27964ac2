import { historySkus, skuName } from './history.ts';
import type { BenchLedger } from './stockmesh-contender.ts';

export interface MemoryFigures {
  readonly skus: number;
  readonly entries: number;
  readonly bytesPerEntry: number;
  readonly bytesPerSku: number;
  readonly extrapolatedGiB: number;
}

const together = 1_000;

/**
 * What the log and the levels take in Redis, by MEMORY USAGE of exactly those keys: hold and operation records end with
 * their retention and are not history.
 */
export async function measureMemory({ redis, keys }: BenchLedger): Promise<MemoryFigures> {
  const usage = async (key: string): Promise<number> =>
    Number(await redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0'));
  const logBytes = await usage(keys.log);
  let skuBytes = await usage(keys.skus);
  for (let from = 0; from < historySkus; from += together) {
    const sizes = await Promise.all(
      Array.from({ length: together }, (_, i) => usage(keys.sku(skuName(from + i)))),
    );
    for (const size of sizes) skuBytes += size;
  }
  const entries = await redis.xlen(keys.log);
  const bytesPerEntry = logBytes / entries;
  const bytesPerSku = skuBytes / historySkus;
  return {
    skus: historySkus,
    entries,
    bytesPerEntry,
    bytesPerSku,
    extrapolatedGiB: (bytesPerEntry * 1e7 + bytesPerSku * 1e6) / 2 ** 30,
  };
}
