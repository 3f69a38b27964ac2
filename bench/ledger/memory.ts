import { randomBytes } from 'node:crypto';
import type { MerchantId, Sku } from '../../src/domain/ids.ts';
import { ledgerKeys } from '../../src/ledger/keys.ts';
import { startPrivateRedis } from '../../test/support/redis.ts';
import { benchLocation, openBenchLedger } from './stockmesh-contender.ts';

export interface MemoryFigures {
  readonly skus: number;
  readonly entries: number;
  readonly bytesPerEntry: number;
  readonly bytesPerSku: number;
  readonly extrapolatedGiB: number;
}

const skus = 100_000;
const entries = 1_000_000;
const merchant = 'bench-memory';

/**
 * What a tenth of a million SKUs and of ten million entries take in Redis, by MEMORY USAGE of exactly those keys: hold and
 * operation records end with their retention and are not history. Entries are those of real commands: one receipt per
 * SKU, then reservations with hold ids of 120 random bits.
 */
export async function measureMemory(): Promise<MemoryFigures> {
  const server = await startPrivateRedis({ appendonly: false });
  const ledger = openBenchLedger(server.path, merchant);
  try {
    await ledger.caller.open();
    await fill(ledger);
    await hold(ledger);
    const keys = ledgerKeys(merchant as MerchantId);
    const logBytes = Number(await ledger.redis.call('MEMORY', 'USAGE', keys.log, 'SAMPLES', '0'));
    let skuBytes = Number(await ledger.redis.call('MEMORY', 'USAGE', keys.skus, 'SAMPLES', '0'));
    for (let from = 0; from < skus; from += 1_000) {
      const sizes = await Promise.all(
        Array.from({ length: 1_000 }, (_, i) =>
          ledger.redis.call('MEMORY', 'USAGE', keys.sku(skuName(from + i)), 'SAMPLES', '0'),
        ),
      );
      for (const size of sizes) skuBytes += Number(size);
    }
    const logged = await ledger.redis.xlen(keys.log);
    const bytesPerEntry = logBytes / logged;
    const bytesPerSku = skuBytes / skus;
    return {
      skus,
      entries: logged,
      bytesPerEntry,
      bytesPerSku,
      extrapolatedGiB: (bytesPerEntry * 1e7 + bytesPerSku * 1e6) / 2 ** 30,
    };
  } finally {
    await ledger.close();
    await server.stop();
  }
}

function skuName(n: number): Sku {
  return `SKU-${String(n).padStart(6, '0')}` as Sku;
}

async function fill({ counts }: ReturnType<typeof openBenchLedger>): Promise<void> {
  for (let from = 0; from < skus; from += 500) {
    await Promise.all(
      Array.from({ length: 500 }, (_, i) =>
        counts.adjust({
          operationId: `open-${from + i}`,
          movement: 'received',
          sku: skuName(from + i),
          location: benchLocation,
          units: 1_000,
          reference: 'opening',
          reason: '',
          actor: 'import',
        }),
      ),
    );
  }
}

async function hold({ holds }: ReturnType<typeof openBenchLedger>): Promise<void> {
  for (let done = skus; done < entries; done += 1_000) {
    await Promise.all(
      Array.from({ length: 1_000 }, (_, i) =>
        holds.reserve({
          holdId: randomBytes(15).toString('base64url'),
          lines: [{ sku: skuName((done + i) % skus), units: 1, locations: [benchLocation] }],
          ttlMs: 3_600_000,
          actor: 'checkout',
        }),
      ),
    );
  }
}
