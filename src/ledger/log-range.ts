import type { Redis } from 'ioredis';
import type { Movement } from '../domain/movement.ts';
import type { RawEntry } from './archive.ts';
import { parseEntry } from './entry.ts';
import type { LedgerKeys } from './keys.ts';

const batch = 1_000;

/** The stream from its beginning (or after `afterId`) to where it ended when the last page was read, page by page. */
export async function* readRawLog(
  redis: Redis,
  keys: LedgerKeys,
  afterId = '',
): AsyncGenerator<readonly RawEntry[]> {
  let from = afterId === '' ? '-' : `(${afterId}`;
  for (;;) {
    const rows = await redis.xrange(keys.log, from, '+', 'COUNT', batch);
    if (rows.length === 0) return;
    // Fields are always `s` and `e`, in this order.
    yield rows.map(([id, fields]): RawEntry => [id, fields[1] ?? '', fields[3] ?? '']);
    from = `(${rows.at(-1)?.[0] ?? ''}`;
    if (rows.length < batch) return;
  }
}

export async function* readLog(
  redis: Redis,
  keys: LedgerKeys,
  afterId = '',
): AsyncGenerator<readonly Movement[]> {
  for await (const rows of readRawLog(redis, keys, afterId))
    yield rows.map(([id, sku, packed]) => parseEntry(id, sku, packed));
}
