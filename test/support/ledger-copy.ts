import type { LedgerParts } from './ledger-parts.ts';

/** Every key of a merchant as it stands; `restore` puts the ledger back to it, as a restored backup would. */
export interface LedgerCopy {
  restore(): Promise<void>;
}

export async function copyLedger(parts: LedgerParts): Promise<LedgerCopy> {
  const kept = new Map<string, Buffer>();
  for (const key of await keysOf(parts)) {
    const dump = await parts.redis.dumpBuffer(key);
    if (dump !== null) kept.set(key, dump);
  }
  return {
    async restore() {
      await dropLedger(parts);
      for (const [key, dump] of kept) await parts.redis.restore(key, 0, dump);
    },
  };
}

export async function dropLedger(parts: LedgerParts): Promise<void> {
  for (const key of await keysOf(parts)) await parts.redis.del(key);
}

async function keysOf(parts: LedgerParts): Promise<readonly string[]> {
  const found = new Set<string>();
  let cursor = '0';
  do {
    const [next, page] = await parts.redis.scan(cursor, 'MATCH', `${parts.keys.prefix}*`, 'COUNT', 1_000);
    for (const key of page) found.add(key);
    cursor = next;
  } while (cursor !== '0');
  return [...found];
}
