import { randomBytes } from 'node:crypto';
import type { Sku } from '../../src/domain/ids.ts';
import { type BenchLedger, benchLocation } from './stockmesh-contender.ts';

export const historySkus = 100_000;
export const historyEntries = 1_000_000;
const together = 1_000;

export function skuName(n: number): Sku {
  return `SKU-${String(n).padStart(6, '0')}` as Sku;
}

/** A tenth of a million SKUs and of ten million entries, by real commands: a receipt per SKU, then reservations. */
export async function writeHistory({ counts, holds }: BenchLedger): Promise<void> {
  for (let from = 0; from < historySkus; from += together) {
    await Promise.all(
      Array.from({ length: together }, (_, i) =>
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
  for (let done = historySkus; done < historyEntries; done += together) {
    await Promise.all(
      Array.from({ length: together }, (_, i) =>
        holds.reserve({
          holdId: randomBytes(15).toString('base64url'),
          lines: [{ sku: skuName((done + i) % historySkus), units: 1, locations: [benchLocation] }],
          ttlMs: 3_600_000,
          actor: 'checkout',
        }),
      ),
    );
  }
}
