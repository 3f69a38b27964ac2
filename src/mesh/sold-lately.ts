import type { Sku } from '../domain/ids.ts';
import { saleKinds } from './blast-guard.ts';
import type { LogHistory } from './fan-out.ts';

const maxEntries = 100_000;
const pageEntries = 1_000;

/** SKUs that the newest entries of the log sold, for listings whose cause was forgotten with their daemon. */
export async function soldLately(history: LogHistory): Promise<ReadonlySet<Sku>> {
  const sold = new Set<Sku>();
  const { epoch, seq } = await history.head();
  let from = { epoch, seq: Math.max(0, seq - maxEntries) };
  while (from.seq < seq) {
    const slice = await history.after(from, pageEntries);
    if (slice.kind === 'trimmed') {
      from = { epoch: slice.first.epoch, seq: Math.max(from.seq + 1, slice.first.seq - 1) };
      continue;
    }
    for (const entry of slice.entries) if (saleKinds.has(entry.kind)) sold.add(entry.sku);
    const last = slice.entries.at(-1);
    if (last === undefined) break;
    from = { epoch: last.epoch, seq: last.seq };
  }
  return sold;
}
